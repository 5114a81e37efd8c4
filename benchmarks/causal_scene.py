"""Causal variables from pictures of the lamp-and-lever scene, by ILCM; counterfactual pictures beside the truth.

    python benchmarks/causal_scene.py                                          five trainings of each kind
    python benchmarks/causal_scene.py --plot docs/images/counterfactuals.png   and a sheet of the best of three from pairs alone
    python benchmarks/causal_scene.py --quick                                  a smoke run

Pairs of 64 x 64 pictures of four causal variables, before and after nothing or a perfect intervention N(0, 1) on one of them,
equally likely; the same for all seeds of the training. Networks see the first principal components. Trained once from pairs
alone, once with the targets given. Judged on other pairs; the graph is that of `Learned.graph`; counterfactual error: of
pictures had one variable, each in turn, been set to 1.5 or -1.5, against the truth, relative to the spread of the pictures.
Results are kept in `docs/results/causal-scene.csv`, a row a training.
"""

import argparse
from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import torch
from causal_learning import graph_of, named
from measuring import aligned
from rows import Row, finished, keep
from torch import Tensor

from egregium.causal import (
    DAG,
    ILCM,
    Alignment,
    Do,
    LatentCausalModel,
    Learned,
    Pairs,
    Scene,
    counterfactual_error,
    fit,
    fit_best,
    score,
)  # fmt: skip
from egregium.causal.learning.starts import last_objective

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "causal-scene.csv"
VALUES = -1.5, 1.5
SHOWN = 6  # pictures of the sheet
PIECE = 1000
HIDDEN = 64, 64, 64
STARTS = 3


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    kept = [] if options.quick else finished(options.results)
    scene = Scene(size=16 if options.quick else 64)
    model, generator = LatentCausalModel(scene.scm, scene), torch.Generator().manual_seed(0)
    training, test = (sampled(model, number, generator) for number in (options.pairs, options.judging))
    method = ILCM(scene.n, components=options.components, hidden=HIDDEN, steps=options.steps, batch_size=256)
    for known in (False, True):
        for seed in range(options.seeds):
            if any((row["seed"], row["targets known"]) == (str(seed), str(known)) for row in kept):
                continue
            given = named(training.targets) if known else None
            learned = fit(method, training.x, training.x_after, targets=given, seed=seed, progress=False)
            row = {"seed": str(seed), "targets known": str(known)} | judged(model, learned, test)
            print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
            kept.append(row)
            if not options.quick:
                keep(options.results, row)
    print(table(kept))
    if options.plot:
        best = fit_best(method, training.x, training.x_after, starts=1 if options.quick else STARTS, progress=False)
        plot(model, best, test, Path(options.plot))


@torch.no_grad()
def sampled(model: LatentCausalModel, number: int, generator: torch.Generator) -> Pairs:
    """Pairs in single precision, drawn in pieces."""
    pieces = [model.sample(min(PIECE, number - k), generator=generator, dtype=torch.float32) for k in range(0, number, PIECE)]
    return Pairs(*(torch.cat([getattr(piece, name) for piece in pieces]) for name in vars(pieces[0])))


@torch.no_grad()
def judged(model: LatentCausalModel, learned: Learned, test: Pairs) -> dict[str, str]:
    """The scores of one training."""
    z, targets = learned.encode(test.x), learned.targets(test.x, test.x_after)
    graph = graph_of(learned, test, targets)
    graphs = None if graph is None else (model.scm.graph, graph)
    scores = score(test.z, z, graphs=graphs, targets=(named(test.targets), targets))
    truth, found = counterfactuals(model, learned, graph, scores.alignment, test.x[:200], test.z[:200])
    numbers = {
        "dci": scores.dci.disentanglement, "dci_truth": scores.ceiling.disentanglement, "mcc": scores.alignment.mcc,
        "shd": scores.shd, "targets": scores.target_accuracy, "counterfactual": counterfactual_error(truth, found),
        "objective": last_objective(learned),
    }  # fmt: skip
    return {name: "nan" if value is None else f"{value:.5g}" for name, value in numbers.items()}


def counterfactuals(
    model: LatentCausalModel, learned: Learned, graph: DAG | None, alignment: Alignment, x: Tensor, z: Tensor
) -> tuple[Tensor, Tensor]:
    """Pictures `(n, 2, N, ...)` flattened to rows: had variable i been set to each value; true ones and the learned model's."""
    twin, truth, found = learned.to_lcm(graph), [], []
    here = twin.encode(x.double())
    for i, k in enumerate(alignment.permutation):
        sign = float(alignment.correlations[i, k].sign())
        for value in VALUES:
            truth.append(model.decoder(model.scm.counterfactual(z.double(), Do({i: value}))))
            found.append(twin.decoder(twin.scm.counterfactual(here, Do({k: sign * value}))))
    return torch.cat(truth), torch.cat(found)


@torch.no_grad()
def plot(model: LatentCausalModel, learned: Learned, test: Pairs, file: Path) -> None:
    """Rows: pictures; then for each variable, had it been 1.5, the truth above the learned model's."""
    from matplotlib.figure import Figure

    z = learned.encode(test.x)
    graph = graph_of(learned, test, learned.targets(test.x, test.x_after))
    alignment, x = score(test.z, z).alignment, test.x[:SHOWN]
    truth, found = counterfactuals(model, learned, graph, alignment, x, test.z[:SHOWN])
    truth, found = (one.unflatten(0, (model.n, len(VALUES), SHOWN))[:, 1] for one in (truth, found))
    rows = [("seen", x)]
    for name, true, ours in zip(model.scm.names, truth, found, strict=True):
        rows += [(f"{name} = 1.5,\ntruth", true), ("learned", ours)]
    figure = Figure(figsize=(1.1 * SHOWN + 1.2, 1.1 * len(rows)), layout="constrained")
    axes = figure.subplots(len(rows), SHOWN)
    for line, (label, pictures) in zip(axes, rows, strict=True):
        for ax, picture in zip(line, pictures, strict=True):
            ax.imshow(picture.clamp(0, 1).permute(1, 2, 0).float().numpy())
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(label, rotation=0, ha="right", va="center")
    file.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(file, dpi=110)


def table(rows: Sequence[Row]) -> str:
    """The middle of each score: with known targets, with targets found, and of what `fit_best` takes of any three of these."""
    known, found = ([row for row in rows if row["targets known"] == kind] for kind in ("True", "False"))
    best = [min(three, key=lambda row: float(row["objective"])) for three in combinations(found, STARTS)]
    names = "dci", "dci_truth", "mcc", "shd", "targets", "counterfactual"
    lines: list[Sequence[str]] = [("targets", "trainings", *(f"{name} median [least, most]" for name in names))]
    for kind, of in (("known", known), ("found", found), (f"found, best of {STARTS}", best)):
        cells = [torch.tensor([float(row[name]) for row in of], dtype=torch.float64) for name in names]
        shown = [f"{one.nanquantile(0.5):.4g} [{one.min():.4g}, {one.max():.4g}]" for one in cells] if of else []
        lines.append((kind, str(len(of)), *shown, *[""] * (len(names) - len(shown))))
    return aligned(lines)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="trainings of each kind (default: 5)")
    parser.add_argument("--pairs", type=int, default=30_000, help="to train on (default: 30000)")
    parser.add_argument("--judging", type=int, default=5000, help="pairs that judge (default: 5000)")
    parser.add_argument("--components", type=int, default=64, help="principal components that networks see (default: 64)")
    parser.add_argument("--steps", type=int, default=4000, help="of each training (default: 4000)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the table's file")
    parser.add_argument("--plot", help="file of the sheet, a .png")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one seed, 30 steps, pictures of 16 x 16")
    options = parser.parse_args(arguments)
    if options.quick:
        options.seeds, options.pairs, options.judging, options.steps, options.components = 1, 1000, 800, 30, 8
    return options


if __name__ == "__main__":
    main()
