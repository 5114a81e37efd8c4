"""The closed-form oracle on linear pairs: DCI, Spearman MCC, graph, targets and time, with the ceilings of the truth.

    python benchmarks/oracle.py                     n = 2, 4, 8, 10 and 30 variables, 10 graphs each
    python benchmarks/oracle.py --sizes 4 --seeds 3
    python benchmarks/oracle.py --quick             a smoke run: two small graphs

Linear additive-noise models: an edge between each pair with probability 1/2, weights `+-(1 + 0.3 N(0, 1))`, noises and
intervened values N(0, 1), targets uniform on none and each variable, 40,000 pairs, `x = R z` with R from the Haar law of SO(n),
float64. A missed edge is printed as its true weight in standard errors. Seconds are of the wall, of `linear_oracle` alone, on
one thread. All is done twice, the second time telling the oracle that R is orthogonal. The last table bends the mixing,
`x = R z + b tanh(R z)`: there the oracle must refuse.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import torch
from measuring import aligned
from torch import Tensor

from egregium.causal import DAG, LinearOracle, Scores, linear_oracle, score
from egregium.errors import ModelError


@dataclass(frozen=True)
class Pairs:
    """Causal variables `(N, n)` before and after, targets `(N,)`, the weights `(n, n)` and the mixing `(n, n)`."""

    z: Tensor
    z_after: Tensor
    targets: Tensor
    weights: Tensor
    mixing: Tensor

    @property
    def graph(self) -> DAG:
        """Edges of weights that are not 0."""
        return DAG.from_adjacency(self.weights.T != 0)


@dataclass(frozen=True)
class Trial:
    """A model, how well the oracle found it, the time it took, and true weights over standard errors of missed edges."""

    n: int
    seed: int
    truth: Pairs
    scores: Scores
    seconds: float
    missed: Sequence[float]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    torch.set_num_threads(1)
    trials, told = [], []
    for n, seed in product(options.sizes, range(options.seeds)):
        print(f"n = {n}, seed {seed}", file=sys.stderr, flush=True)
        truth = pairs(n, options.pairs, seed)
        trials.append(trial(truth, seed))
        told.append(trial(truth, seed, orthogonal=True))
    print(f"\n## All graphs\n\n{summary(trials)}")
    print(f"\n## All graphs, orthogonal=True\n\n{summary(told)}")
    print(f"\n## Each graph\n\n{details(trials)}")
    print(f"\n## Bent mixing\n\n{refusals(options.sizes, options.pairs, options.seeds)}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[2, 4, 8, 10, 30], help="variables (default: 2 4 8 10 30)")
    parser.add_argument("--seeds", type=int, default=10, help="graphs of each size (default: 10)")
    parser.add_argument("--pairs", type=int, default=40_000, help="of observations (default: 40000)")
    parser.add_argument("--quick", action="store_true", help="a smoke run: one graph of 2 and of 3 variables, 2,000 pairs")
    options = parser.parse_args(arguments)
    if options.quick:
        options.sizes, options.seeds, options.pairs = [2, 3], 1, 2000
    return options


def pairs(n: int, number: int, seed: int) -> Pairs:
    """A random model and pairs from it, in float64."""
    generator = torch.Generator().manual_seed(seed)
    weights = _weights(n, generator)
    noise, fresh = torch.randn(2, number, n, generator=generator, dtype=torch.float64)
    targets = torch.randint(n + 1, (number,), generator=generator)
    mixing = _rotation(n, generator)
    return Pairs(
        z=_solved(weights, noise, noise, torch.zeros_like(targets)), z_after=_solved(weights, noise, fresh, targets),
        targets=targets, weights=weights, mixing=mixing,
    )  # fmt: skip


def _weights(n: int, generator: torch.Generator) -> Tensor:
    edges = torch.rand(n, n, generator=generator).lt(0.5).tril(-1)
    signs = torch.where(torch.rand(n, n, generator=generator) < 0.5, -1, 1)
    return edges * signs * (1 + 0.3 * torch.randn(n, n, generator=generator, dtype=torch.float64))


def _solved(weights: Tensor, noise: Tensor, fresh: Tensor, targets: Tensor) -> Tensor:
    z = torch.zeros_like(noise)
    for i, row in enumerate(weights):
        z[:, i] = torch.where(targets == i + 1, fresh[:, i], z @ row + noise[:, i])
    return z


def _rotation(n: int, generator: torch.Generator) -> Tensor:
    """From the Haar law of SO(n)."""
    q, r = torch.linalg.qr(torch.randn(n, n, generator=generator, dtype=torch.float64))
    q = q * r.diagonal().sign()
    q[:, 0] *= torch.linalg.det(q).sign()
    return q


def trial(truth: Pairs, seed: int, *, orthogonal: bool = False) -> Trial:
    """One model, found and scored."""
    x, x_after = truth.z @ truth.mixing.T, truth.z_after @ truth.mixing.T
    start = time.perf_counter()
    found = linear_oracle(x, x_after, orthogonal=orthogonal)
    seconds = time.perf_counter() - start
    scores = score(truth.z, found.latents, graphs=(truth.graph, found.graph), targets=(truth.targets, found.targets))
    return Trial(found.n, seed, truth, scores, seconds, _missed(truth, found, scores.alignment.permutation))


def _missed(truth: Pairs, found: LinearOracle, permutation: Sequence[int]) -> list[float]:
    """True weights in standard errors, those of an oracle whose noises have standard deviation 1 as the true ones do."""
    order = list(permutation)
    weights, errors = (matrix[order][:, order] for matrix in (found.weights.T, found.standard_errors.T))
    return (truth.weights.abs() / errors)[(truth.weights != 0) & (weights == 0)].tolist()


def summary(trials: Sequence[Trial]) -> str:
    """A line for each number of variables: the least and the middle of each score."""
    head = "n", "graphs", "DCI-D least, median (truth)", "MCC least, median", "SHD median, most", "right graphs", "targets", "s"
    rows: list[Sequence[str]] = [head]
    for n in dict.fromkeys(one.n for one in trials):
        of = [one for one in trials if one.n == n]
        d, top = zip(*(_disentanglement(one) for one in of), strict=True)
        mcc, shd = [one.scores.alignment.mcc for one in of], [one.scores.shd or 0 for one in of]
        hit = [one.scores.target_accuracy or 0 for one in of]
        rows.append((
            str(n), str(len(of)), f"{min(d):.4f}, {statistics.median(d):.4f} ({min(top):.4f}, {statistics.median(top):.4f})",
            f"{min(mcc):.5f}, {statistics.median(mcc):.5f}", f"{statistics.median(shd):g}, {max(shd)}",
            f"{shd.count(0)} of {len(of)}", f"{min(hit):.5f}", f"{max(one.seconds for one in of):.2f}",
        ))  # fmt: skip
    return aligned(rows)


def _disentanglement(one: Trial) -> tuple[float, float]:
    return one.scores.dci.disentanglement, one.scores.ceiling.disentanglement


def details(trials: Sequence[Trial]) -> str:
    """A line for each graph."""
    rows: list[Sequence[str]] = [
        ("n", "seed", "edges", "smallest weight", "DCI-D (truth)", "MCC", "SHD", "missed, standard errors", "s")
    ]
    for one in trials:
        weights = one.truth.weights[one.truth.weights != 0].abs()
        d, top = _disentanglement(one)
        rows.append((
            str(one.n), str(one.seed), str(len(weights)), f"{float(weights.min()):.3f}" if len(weights) else "-",
            f"{d:.4f} ({top:.4f})", f"{one.scores.alignment.mcc:.5f}", str(one.scores.shd),
            ", ".join(f"{size:.1f}" for size in one.missed) or "-", f"{one.seconds:.2f}",
        ))  # fmt: skip
    return aligned(rows)


def refusals(sizes: Sequence[int], number: int, seeds: int) -> str:
    """A line for each bend: how many of all models were refused."""
    rows: list[Sequence[str]] = [("b", "refused")]
    for bend in (0.0, 0.001, 0.1, 1.0):
        refused = sum(_refuses(pairs(n, number, seed), bend) for n, seed in product(sizes, range(seeds)))
        rows.append((f"{bend:g}", f"{refused} of {len(sizes) * seeds}"))
    return aligned(rows)


def _refuses(truth: Pairs, bend: float) -> bool:
    x, x_after = (z @ truth.mixing.T for z in (truth.z, truth.z_after))
    try:
        linear_oracle(x + bend * x.tanh(), x_after + bend * x_after.tanh())
    except ModelError:
        return True
    return False


if __name__ == "__main__":
    main()
