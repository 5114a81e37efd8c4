"""Causal variables, graph, targets and counterfactuals learned from pairs: ILCM, what it is compared with, and the oracle.

    python benchmarks/causal_learning.py                        all models, hours on one thread; goes on where it was stopped
    python benchmarks/causal_learning.py --mixing flow --sizes 2 4 --methods ilcm
    python benchmarks/causal_learning.py --table                the tables of what has been finished
    python benchmarks/causal_learning.py --quick                a smoke run

Linear additive-noise models: n = 2 a chain and the empty graph, else an edge between each pair with probability 1/2; weights
`+-(1 + 0.3 N(0, 1))`, noises and intervened values N(0, 1), targets uniform on none and each variable; `x = R z` with R from
the Haar law of SO(n), or a flow into R^32. Steps are all that are taken: where targets are found first, the 2,500 steps of that
are among them. 100,000 pairs to train on; 10,000 others judge, and give the graph (`Learned.graph`). Counterfactual error: x
after, predicted from x, the target found and one number, what the target's latent variable became, relative to the spread of x
after. Results are kept in `docs/results/causal-learning.csv`, a row a training.
"""

import argparse
import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from measuring import aligned
from rows import Row, finished, keep
from torch import Tensor

from egregium.causal import (
    DAG,
    SCM,
    Flow,
    LatentCausalModel,
    Orthogonal,
    Pairs,
    fit,
    linear_oracle,
    score,
)  # fmt: skip
from egregium.causal.learning import Learned
from egregium.causal.learning.by_direction import STEPS_IN_ALL
from egregium.causal.learning.methods import METHODS
from egregium.causal.learning.schedule import Targeted
from egregium.errors import EgregiumError

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "docs" / "results" / "causal-learning.csv"
WIDTH = 32  # of observations of a flow
STEPS = {2: 4000, 4: 6000, 8: 8500, 10: 8500}  # in all: where targets are found first, that takes some of them
BATCH = {2: 512, 4: 512, 8: 256, 10: 256}
COMPARED = 3  # graphs on which the other methods are trained
ORACLE = "oracle"
SCORES = "dci", "dci_truth", "mcc", "shd", "edges", "targets", "counterfactual", "seconds"


@dataclass(frozen=True)
class Trial:
    """One training that is to be done."""

    mixing: str
    graph: str
    n: int
    seed: int
    method: str
    steps: int
    batch: int

    @property
    def key(self) -> dict[str, str]:
        """What names it in the table."""
        return {name: str(value) for name, value in vars(self).items()}


@dataclass(frozen=True)
class Found:
    """Variables, targets and predictions of x after, of judging pairs."""

    z: Tensor
    targets: Tensor
    predicted: Tensor


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    kept = [] if options.quick else finished(options.results)
    if not options.table:
        for one in planned(options):
            if not any(all(row[name] == value for name, value in one.key.items()) for row in kept):
                row = one.key | judged(one, options.pairs, options.judging)
                print(", ".join(f"{name} {value}" for name, value in row.items()), flush=True)
                kept.append(row)
                if not options.quick:
                    keep(options.results, row)
    print(table(kept))


def planned(options: argparse.Namespace) -> Iterator[Trial]:
    """All trainings asked for: ILCM on all graphs, the other methods on the first three."""
    for mixing in options.mixing:
        for n in options.sizes if mixing == "orthogonal" else [n for n in options.sizes if n <= max(options.flow_sizes)]:
            for graph in ("chain", "empty") if n == 2 else ("random",):
                for seed in range(options.seeds):
                    for method in options.methods:
                        if method == "ilcm" or (seed < COMPARED and n in options.compared):
                            steps, batch = options.steps or STEPS.get(n, 6000), options.batch or BATCH.get(n, 256)
                            yield Trial(mixing, graph, n, seed, method, steps, batch)


def model(mixing: str, graph: str, n: int, seed: int) -> tuple[LatentCausalModel, torch.Generator]:
    """A random latent causal model, and the generator to go on with."""
    generator = torch.Generator().manual_seed(seed)
    edges = torch.rand(n, n, generator=generator).lt(0.5).triu(1)
    if graph != "random":
        edges = torch.full((n, n), graph == "chain").triu(1) & ~torch.full((n, n), True).triu(2)
    signs = torch.where(torch.rand(n, n, generator=generator) < 0.5, -1, 1)
    weights = edges * signs * (1 + 0.3 * torch.randn(n, n, generator=generator, dtype=torch.float64))
    decoder = Flow(n, WIDTH, seed=seed) if mixing == "flow" else Orthogonal.random(n, generator=generator)
    return LatentCausalModel(SCM.linear(weights), decoder), generator


@torch.no_grad()
def judged(one: Trial, number: int, judging: int) -> dict[str, str]:
    """One training, and its scores."""
    truth, generator = model(one.mixing, one.graph, one.n, one.seed)
    training = truth.sample(number, generator=generator).to(torch.float32)
    test = truth.sample(judging, generator=generator).to(torch.float32)
    start = time.process_time()
    try:
        found, graph = by_oracle(training, test) if one.method == ORACLE else by_training(one, training, test)
    except EgregiumError as error:
        return dict.fromkeys(SCORES, "nan") | {"remark": str(error).split(":")[0][:60]}
    seconds = time.process_time() - start
    scores = score(
        test.z,
        found.z,
        graphs=None if graph is None else (truth.scm.graph, graph),
        targets=(named(test.targets), found.targets),
        counterfactuals=(test.x_after, found.predicted),
    )
    numbers = {
        "dci": scores.dci.disentanglement, "dci_truth": scores.ceiling.disentanglement, "mcc": scores.alignment.mcc,
        "shd": scores.shd, "edges": len(truth.scm.graph.edges), "targets": scores.target_accuracy,
        "counterfactual": scores.counterfactual_error, "seconds": round(seconds),
    }  # fmt: skip
    return {name: f"{value:.5g}" if value is not None else "nan" for name, value in numbers.items()} | {"remark": ""}


def by_training(one: Trial, training: Pairs, test: Pairs) -> tuple[Found, DAG | None]:
    """What a trained network finds in judging pairs."""
    kind = METHODS[one.method]
    steps = max(one.steps - STEPS_IN_ALL, one.steps // 4) if issubclass(kind, Targeted) else one.steps
    method = kind(n=one.n, steps=steps, batch_size=one.batch)
    given = named(training.targets) if method.needs_targets else None
    learned = fit(method, training.x, training.x_after, targets=given, seed=one.seed, progress=False)
    targets = named(test.targets) if method.needs_targets else learned.targets(test.x, test.x_after)
    noise, noise_after = learned.noise(test.x), learned.noise(test.x_after)
    moved = targets[:, None] == torch.arange(1, one.n + 1)
    predicted = learned.decode_noise(torch.where(moved, noise_after, noise))
    return Found(learned.encode(test.x), targets, predicted), graph_of(learned, test, targets)


def by_oracle(training: Pairs, test: Pairs) -> tuple[Found, DAG]:
    """What the closed form finds; its targets are those of training pairs, so that those of the judging ones are its own."""
    oracle = linear_oracle(training.x, training.x_after)
    noise = torch.linalg.pinv(oracle.directions)
    change = (test.x_after - test.x) @ noise.T
    largest = change.abs().argmax(1)
    none = (test.x_after - test.x).abs().amax(1) == 0
    targets = torch.where(none, 0, largest + 1)
    moved = targets[:, None] == torch.arange(1, oracle.n + 1)
    predicted = test.x + (change * moved) @ oracle.directions.T
    return Found(oracle.encode(test.x), targets, predicted), oracle.graph


def graph_of(learned: Learned, test: Pairs, targets: Tensor) -> DAG | None:
    """None where variables or targets are too poor for the tests."""
    try:
        return learned.graph(test.x, test.x_after, targets=targets)
    except EgregiumError:
        return None


def named(targets: Tensor) -> Tensor:
    """`(N, n)` bool as numbers `(N,)`: 0 for none, i + 1 for variable i."""
    return torch.where(targets.any(1), targets.int().argmax(1) + 1, 0)


def table(rows: Sequence[Row]) -> str:
    """A line for each mixing, graph, size and method: the middle and the quartiles of each score."""
    head = "mixing", "n", "graph", "method", "graphs", "DCI-D median [quartiles] least", "truth", "MCC", "SHD median, most"
    lines: list[Sequence[str]] = [(*head, "right graphs", "targets", "counterfactual error", "s")]
    groups = dict.fromkeys((row["mixing"], int(row["n"]), row["graph"], row["method"]) for row in rows)
    for group in sorted(groups):
        of = [row for row in rows if (row["mixing"], int(row["n"]), row["graph"], row["method"]) == group]
        sound = [row for row in of if row["dci"] != "nan"]
        mixing, n, graph, method = group
        if not sound:
            lines.append((mixing, str(n), graph, method, str(len(of)), f"refused: {of[0]['remark']}", *[""] * 7))
            continue
        d, mcc, targets, error, top, seconds = (
            [float(row[name]) for row in sound] for name in ("dci", "mcc", "targets", "counterfactual", "dci_truth", "seconds")
        )
        shd = [int(row["shd"]) for row in sound if row["shd"] != "nan"]
        lines.append((
            mixing, str(n), graph, method, str(len(of)), f"{_spread(d)} {min(d):.4f}", f"{statistics.median(top):.4f}",
            f"{statistics.median(mcc):.4f}", f"{statistics.median(shd):g}, {max(shd)}" if shd else "no graph",
            f"{shd.count(0)} of {len(of)}", f"{statistics.median(targets):.3f}", f"{statistics.median(error):.3f}",
            f"{statistics.median(seconds):.0f}",
        ))  # fmt: skip
    return aligned(lines)


def _spread(values: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return f"{middle:.4f} [{low:.4f}, {high:.4f}]"


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    methods = [*METHODS, ORACLE]
    parser.add_argument("--mixing", nargs="+", choices=["orthogonal", "flow"], default=["orthogonal", "flow"])
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8, 10], help="variables (default: 2 4 8 10)")
    parser.add_argument(
        "--flow-sizes", type=int, nargs="+", default=[2, 4], help="with a flow, up to the largest (default: 2 4)"
    )
    parser.add_argument("--methods", nargs="+", choices=methods, default=methods)
    parser.add_argument("--compared", type=int, nargs="+", default=[2, 4], help="sizes of the other methods (default: 2 4)")
    parser.add_argument("--seeds", type=int, default=10, help="graphs of each size (default: 10)")
    parser.add_argument("--steps", type=int, help="of each training (default: 4000 at n = 2, 6000 at 4, else 8500)")
    parser.add_argument("--batch", type=int, help="pairs a step (default: 512, from n = 8 on 256)")
    parser.add_argument("--pairs", type=int, default=100_000, help="to train on (default: 100000)")
    parser.add_argument("--judging", type=int, default=10_000, help="pairs that judge (default: 10000)")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the table's file")
    parser.add_argument("--table", action="store_true", help="print the table of what is finished")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one graph of two variables, 30 steps, nothing kept")
    options = parser.parse_args(arguments)
    if options.quick:
        options.sizes, options.seeds, options.pairs, options.steps, options.batch = [2], 1, 2000, 30, 64
    return options


if __name__ == "__main__":
    main()
