"""Which explicit geometry the learned manifold of digits is closest to, training by training, and whether trainings agree.

    python benchmarks/learned.py                                       handwritten digits, d = 2, 30 trainings, half an hour
    python benchmarks/learned.py --data mnist --data-dir FOLDER --images 10000 --epochs 20
    python benchmarks/learned.py --quick                               a smoke run: two trainings of one epoch

Every training is asked for the geodesic distances of the same 30 test images in its mean decoder's geometry, and `eg.signature`
for the geometry of these. Results are kept in the file (`--out`) as they come; a stopped run goes on.
"""

import argparse
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from measuring import aligned
from rows import Row, finished, keep

import egregium as eg
from egregium.identifiability.campaign import DIGITS
from egregium.relations.signature import CANDIDATES

POINTS = 30


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    data = eg.data.load(options.data, data_dir=options.data_dir, limit=options.images)
    settings = {"latent": options.dim} | (DIGITS if options.data == "digits" else {"decoders": 4})  # as studies have them
    spec = eg.models.VAE(**settings | ({} if options.epochs is None else {"epochs": options.epochs}))
    models = eg.fit(spec, data, seeds=options.trainings, workers=1, out=options.models)
    done = [int(row["seed"]) for row in finished(options.out)]
    for seed, model in enumerate(models):
        if seed not in done:
            row = {"data": options.data, "dim": str(options.dim), "seed": str(seed)} | measured(model, data.test, options)
            print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
            keep(options.out, row)
    print(table(finished(options.out)))


def measured(model: eg.LatentModel, x: torch.Tensor, options: argparse.Namespace) -> dict[str, str]:
    """The signature of one training."""
    space = eg.Pullback(list(model.decoders), chart=model.chart, uncertainty=0.0)
    distances = eg.pairwise(space, model.encode(x[:POINTS]), on_fail="mark")
    found = eg.signature(distances, options.candidates, starts=options.starts)
    held_out = dict(zip(map(repr, found.candidates), found.held_out.mean(1).tolist(), strict=True))
    flat = held_out[f"Euclidean(n={options.dim})"]
    return {"named": repr(found.space), "best": repr(found.candidates[0]), "held_out": f"{held_out[repr(found.space)]:.4f}",
            "least": f"{min(held_out.values()):.4f}", "flat": f"{flat:.4f}"}  # fmt: skip


def table(results: Sequence[Row]) -> str:
    """How many trainings named each geometry; held-out distortion of it, of the best, and of flat space of equal dimension."""
    rows = [("named", "trainings", "held-out distortion", "of the best", "of flat space")]
    for name, count in Counter(row["named"] for row in results).most_common():
        of = [row for row in results if row["named"] == name]
        medians = (f"{statistics.median(float(row[key]) for row in of):.3f}" for key in ("held_out", "least", "flat"))
        rows.append((name, f"{count} of {len(results)}", *medians))
    return aligned(rows)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits", help="name of a data set (default: digits)")
    parser.add_argument("--data-dir", default=None, help="where its files lie")
    parser.add_argument("--dim", type=int, default=2, help="latent dimensions (default: 2)")
    parser.add_argument("--trainings", type=int, default=30, help="default: 30")
    parser.add_argument("--images", type=int, default=None, help="training images (default: all)")
    parser.add_argument("--epochs", type=int, default=None, help="of each training (default: as studies have it)")
    parser.add_argument("--models", type=Path, default=None, help="a run folder to keep the trainings in")
    parser.add_argument("--out", type=Path, default=Path("learned.csv"), help="results (default: learned.csv)")
    parser.add_argument("--quick", action="store_true", help="two trainings of one epoch, three candidates")
    options = parser.parse_args(arguments)
    options.starts, options.candidates = (2, CANDIDATES[1:4]) if options.quick else (48, CANDIDATES)
    options.trainings, options.epochs = (2, 1) if options.quick else (options.trainings, options.epochs)
    return options


if __name__ == "__main__":
    main()
