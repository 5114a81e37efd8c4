"""Graphs of exact causal variables by dependence and by an ENCO-style learner, beside the weights of the linear oracle.

    python benchmarks/graphs.py                     n = 2, 4, 8 and 10 variables, 10 linear and 10 nonlinear graphs each
    python benchmarks/graphs.py --sizes 4 --seeds 3 --leak 2
    python benchmarks/graphs.py --quick             a smoke run: two small graphs

An edge between each pair with probability 1/2, noises and intervened values N(0, 1), targets uniform on none and each variable,
40,000 pairs, float64. Linear: weights `+-(1 + 0.3 N(0, 1))`. Nonlinear: the mean, and in half of the variables the logarithm of
the scale too, is a random network of all parents with 16 hidden tanh units. `--leak` rotates standardised variables by so many
degrees, root mean square of the angles, in random planes. Seconds are of the processor, on one thread.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from measuring import aligned
from torch import Tensor

from egregium.causal import (
    DAG,
    ENCO,
    SCM,
    AdditiveNoise,
    LatentCausalModel,
    Linear,
    LocationScale,
    Mechanism,
    Orthogonal,
    graph_by_dependence,
    learn_graph,
    linear_oracle,
    spearman_mcc,
    structural_hamming_distance,
)

HIDDEN = 16


@dataclass(frozen=True)
class Trial:
    """What one method made of one model."""

    kind: str
    n: int
    seed: int
    method: str
    edges: int
    distance: int
    missed: int
    seconds: float


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    trials = []
    for n, kind, seed in product(options.sizes, ("linear", "nonlinear"), range(options.seeds)):
        print(f"n = {n}, {kind}, seed {seed}", file=sys.stderr, flush=True)
        trials += trial(kind, n, seed, options)
    print(f"\n## All graphs\n\n{summary(trials)}")
    print(f"\n## Graphs with errors\n\n{details(trials)}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8, 10], help="variables (default: 2 4 8 10)")
    parser.add_argument("--seeds", type=int, default=10, help="graphs of each size and kind (default: 10)")
    parser.add_argument("--pairs", type=int, default=40_000, help="before and after (default: 40000)")
    parser.add_argument("--leak", type=float, default=0.0, help="degrees of rotation of the variables (default: 0)")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one graph of 2 and of 3 variables, 2,000 pairs")
    options = parser.parse_args(arguments)
    options.spec = ENCO()
    if options.quick:
        options.sizes, options.seeds, options.pairs = [2, 3], 1, 2000
        options.spec = ENCO(rounds=2, network_steps=20, graph_steps=10)
    return options


def model(kind: str, n: int, generator: torch.Generator) -> SCM:
    """A random model."""
    if kind == "linear":
        edges = torch.rand(n, n, generator=generator).lt(0.5).triu(1)
        signs = torch.where(torch.rand(n, n, generator=generator) < 0.5, -1, 1)
        return SCM.linear(edges * signs * (1 + 0.3 * torch.randn(n, n, generator=generator, dtype=torch.float64)))
    graph = DAG.random(n, generator=generator)
    return SCM(graph, [_mechanism(len(parents), generator) for parents in graph.parents])


def _mechanism(parents: int, generator: torch.Generator) -> Mechanism:
    if not parents:
        return Linear()
    location = _network(parents, 2.0, generator)
    if torch.rand((), generator=generator) < 0.5:
        return AdditiveNoise(location)
    return LocationScale(location, _network(parents, 0.5, generator))


def _network(parents: int, size: float, generator: torch.Generator) -> Callable[[Tensor], Tensor]:
    shapes = (parents, HIDDEN), (HIDDEN,), (HIDDEN,)
    enter, bias, leave = (torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes)
    return lambda z: torch.tanh(z @ enter * (1.5 / parents**0.5) + bias) @ leave * (size / HIDDEN**0.5)


def trial(kind: str, n: int, seed: int, options: argparse.Namespace) -> list[Trial]:
    """All methods on one model."""
    generator = torch.Generator().manual_seed(seed)
    scm = model(kind, n, generator)
    pairs = LatentCausalModel(scm, Orthogonal(torch.eye(n, dtype=torch.float64))).sample(options.pairs, generator=generator)
    targets = (pairs.targets * torch.arange(1, n + 1)).sum(1)
    mixing = rotation(n, options.leak, generator) / pairs.z.std(0)
    z, z_after = pairs.z @ mixing.T, pairs.z_after @ mixing.T
    methods: dict[str, Callable[[], DAG]] = {
        "dependence": lambda: graph_by_dependence(z, z_after, targets).graph,
        "ENCO-style": lambda: learn_graph(z, z_after, targets, options.spec).graph,
    }
    if kind == "linear":
        methods["weights of linear_oracle"] = lambda: _weighed(pairs.z, pairs.z_after)
    found = []
    for name, method in methods.items():
        start = time.process_time()
        graph = method()
        seconds = time.process_time() - start
        missed = int((scm.graph.adjacency & ~graph.adjacency).sum())
        distance = structural_hamming_distance(scm.graph, graph)
        found.append(Trial(kind, n, seed, name, len(scm.graph.edges), distance, missed, seconds))
    return found


def rotation(n: int, degrees: float, generator: torch.Generator) -> Tensor:
    """By some angle, in the mean of squares over rows."""
    turn = torch.randn(n, n, generator=generator, dtype=torch.float64)
    turn = turn - turn.T
    return torch.matrix_exp(turn / (turn.square().sum() / n).sqrt() * (degrees * torch.pi / 180))


def _weighed(z: Tensor, z_after: Tensor) -> DAG:
    found = linear_oracle(z, z_after)
    return spearman_mcc(z, found.latents).graph(found.graph)


def summary(trials: Sequence[Trial]) -> str:
    """A line for each kind, number of variables and method."""
    rows: list[Sequence[str]] = [
        ("n", "mechanisms", "method", "graphs", "SHD median, most", "right", "edges missed", "s median, most")
    ]
    for key in dict.fromkeys((one.n, one.kind, one.method) for one in trials):
        of = [one for one in trials if (one.n, one.kind, one.method) == key]
        distance, seconds = [one.distance for one in of], [one.seconds for one in of]
        rows.append((
            str(key[0]), key[1], key[2], str(len(of)), f"{statistics.median(distance):g}, {max(distance)}",
            f"{distance.count(0)} of {len(of)}", f"{sum(one.missed for one in of)} of {sum(one.edges for one in of)}",
            f"{statistics.median(seconds):.1f}, {max(seconds):.1f}",
        ))  # fmt: skip
    return aligned(rows)


def details(trials: Sequence[Trial]) -> str:
    """A line for each graph that was not found."""
    rows: list[Sequence[str]] = [("n", "mechanisms", "seed", "method", "edges", "SHD", "missed")]
    for one in trials:
        if one.distance:
            rows.append((
                str(one.n), one.kind, str(one.seed), one.method, str(one.edges), str(one.distance), str(one.missed),
            ))  # fmt: skip
    return aligned(rows)


if __name__ == "__main__":
    main()
