"""Which latent space suits images: importance-weighted log-likelihood of VAEs that differ in nothing else.

    python benchmarks/latents.py --data-dir FOLDER      all models, an hour or two on one thread; goes on where it was stopped
    python benchmarks/latents.py --table                the table of what has been finished
    python benchmarks/latents.py --quick                a smoke run on the digits that scikit-learn carries

Images are made black and white at random, once, each pixel with its grey value as its probability, so that there is a
likelihood of them. Trained on 10,000 images (a tenth of them held out for stopping), judged on the first 2,000 of the test set
with 500 samples each. Results are kept in `docs/results/latents.csv`, a row a model.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from rows import Row, finished, keep

import egregium as eg
from egregium.spaces import Euclidean, Explicit, Hyperbolic, Product, Sphere, Torus

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "latents.csv"
SPACES: dict[str, Explicit] = {
    "S2": Sphere(2), "E2": Euclidean(2), "H2": Hyperbolic(2), "T2": Torus(2),
    "S5": Sphere(5), "E5": Euclidean(5), "S10": Sphere(10), "E10": Euclidean(10),
    "S2 x H2 x E2": Product(Sphere(2), Hyperbolic(2), Euclidean(2)), "E6": Euclidean(6),
}  # fmt: skip
REPEATED = ("S2", "E2")  # of which five seeds are trained
SEEDS = 5


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    if not options.table:
        for data, name, seed in _planned(options):
            row = trained(options, data, name, seed)
            print(", ".join(f"{key} {value}" for key, value in row.items()), flush=True)
            if not options.quick:
                keep(options.results, row)
    if not options.quick:
        print(table(finished(options.results)))


def trained(options: argparse.Namespace, data: str, name: str, seed: int) -> dict[str, str]:
    """One model trained and judged."""
    source = eg.data.load(data, data_dir=options.data_dir, limit=options.images)
    coins = torch.Generator().manual_seed(0)
    x, test = (torch.bernoulli(part, generator=coins) for part in (source.train, source.test[: options.test_images]))
    spec = eg.models.VAE(latent=SPACES[name], decoders=1, hidden=(128, 256), likelihood="bernoulli", epochs=options.epochs,
                         batch_size=100, lr=1e-3, patience=20)  # fmt: skip
    (model,) = eg.fit(spec, x, seeds=[seed], workers=1, progress=False)
    found = eg.models.log_likelihood(model, test, samples=options.samples).double()
    row = {"data": data, "latent": name, "seed": str(seed), "log_likelihood": f"{found.mean():.3f}"}
    return row | {"standard_error": f"{found.std() / len(found) ** 0.5:.3f}", "epochs": str(options.epochs)}


def table(rows: Sequence[Row]) -> str:
    """Mean log-likelihood in nats, plus minus the standard deviation over seeds where there are several."""
    data = list(dict.fromkeys(row["data"] for row in rows))
    lines = ["| latent space | " + " | ".join(data) + " |", "|---" * (len(data) + 1) + "|"]
    for name in SPACES:
        cells = []
        for one in data:
            found = [float(row["log_likelihood"]) for row in rows if (row["data"], row["latent"]) == (one, name)]
            cells.append(_cell(torch.tensor(found)))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(found: torch.Tensor) -> str:
    if not len(found):
        return ""
    spread = f" +- {found.std():.2f} ({len(found)} seeds)" if len(found) > 1 else ""
    return f"{found.mean():.2f}{spread}"


def _planned(options: argparse.Namespace) -> Iterator[tuple[str, str, int]]:
    """Models that are not finished: one seed of all spaces first."""
    done = [] if options.quick else [(row["data"], row["latent"], int(row["seed"])) for row in finished(options.results)]
    names = ("S2", "S2 x H2 x E2") if options.quick else tuple(SPACES)
    for seed in range(1 if options.quick else SEEDS):
        for data in options.data:
            for name in names if seed == 0 else REPEATED:
                if (data, name, seed) not in done:
                    yield data, name, seed


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["mnist", "fashion-mnist"], help="names of data sets")
    parser.add_argument("--data-dir", default=None, help="where their files lie (default: they are downloaded)")
    parser.add_argument("--epochs", type=int, default=100, help="most passes over the training images (default: 100)")
    parser.add_argument("--images", type=int, default=10_000, help="training images (default: 10000)")
    parser.add_argument("--test-images", type=int, default=2000, help="test images (default: 2000)")
    parser.add_argument("--samples", type=int, default=500, help="of each test image's posterior (default: 500)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where rows are kept")
    parser.add_argument("--table", action="store_true", help="train nothing, print the table")
    parser.add_argument("--quick", action="store_true", help="two models of digits for one epoch, of which nothing is kept")
    options = parser.parse_args(arguments)
    if options.quick:
        options.data, options.epochs, options.images, options.test_images, options.samples = ["digits"], 1, 200, 20, 10
    return options


if __name__ == "__main__":
    main()
