"""Which found variable is which true one: an assignment by rank correlation, and what it does to graphs and targets."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from scipy.optimize import linear_sum_assignment
from scipy.stats import rankdata
from torch import Tensor

from egregium.causal.checks import require_samples, require_targets
from egregium.causal.dag import DAG
from egregium.errors import OptionError

ROWS = 10


@dataclass(frozen=True, eq=False)
class Alignment:
    """Found variables assigned to true ones.

    Attributes:
        mcc: mean absolute Spearman correlation of the pairs assigned, from 0 to 1; invariant under elementwise monotone maps.
        permutation: for each true variable the number of the found one.
        correlations: `(n, n)` Spearman correlations of true (rows) with found variables (columns), with their signs.
    """

    mcc: float
    permutation: tuple[int, ...]
    correlations: Tensor

    def latents(self, z_found: Tensor) -> Tensor:
        """Found variables `(N, n)` in the order of the true ones."""
        return z_found[:, list(self.permutation)]

    def graph(self, found: DAG) -> DAG:
        """A found graph, its variables called as the true ones. Raises: `OptionError` for another number of them."""
        return found.relabelled(_inverse(self.permutation))

    def targets(self, found: Tensor) -> Tensor:
        """Found targets `(N,)`, 0 for none and i + 1 for variable i, in the numbers of the true ones."""
        require_targets(found, names=("found",), n=len(self.permutation))
        names = torch.tensor([0, *(i + 1 for i in _inverse(self.permutation))], device=found.device)
        return names[found.long()]


def spearman_mcc(z_true: Tensor, z_found: Tensor) -> Alignment:
    r"""Mean absolute rank correlation `1/n sum_i |rho(z_i, z'_pi(i))|` under the best assignment pi of found to true variables.

    Causal variables are identified up to order and elementwise diffeomorphisms. Ranks do not see these; Pearson's correlation,
    which the name MCC mostly means, does: it gives a perfect solution that is nonlinear in each element 0.83, and so ranks it
    below a linear one that mixes variables. Elementwise monotone maps and permutations leave the value unchanged. The best
    assignment is exact (Hungarian method).

    Args:
        z_true, z_found: `(N, n)`, of the same observations; N at least 10.

    Cost: O(N n log N + N n^2 + n^3).

    Raises: `ShapeError` for unequal shapes; `TensorError` for NaN, fewer rows, constant columns.

    References: Brehmer et al. 2022 (arXiv 2203.16437), theorem 1, for what is identified; Hyvarinen and Morioka 2016
    (arXiv 1605.06336) for the score with Pearson's correlation.

    >>> z = torch.randn(100, 2, generator=torch.Generator().manual_seed(0))
    >>> found = spearman_mcc(z, torch.stack([-z[:, 1].sinh(), z[:, 0] ** 3], 1))
    >>> round(found.mcc, 6), found.permutation
    (1.0, (1, 0))
    """
    require_samples(z_true, z_found, names=("z_true", "z_found"), rows=ROWS, varied=True)
    correlations = _standard_ranks(z_true).T @ _standard_ranks(z_found)
    _, columns = linear_sum_assignment(-correlations.abs().numpy())
    permutation = tuple(int(k) for k in columns)
    chosen = correlations.abs()[range(len(permutation)), list(permutation)]
    return Alignment(float(chosen.mean()), permutation, correlations)


def _standard_ranks(z: Tensor) -> Tensor:
    """Ranks of each column, ties shared, with mean 0 and norm 1."""
    ranks = torch.from_numpy(rankdata(z.detach().cpu().numpy(), axis=0))
    ranks = ranks - ranks.mean(0)
    return ranks / torch.linalg.vector_norm(ranks, dim=0)


def _inverse(permutation: Sequence[int]) -> list[int]:
    return sorted(range(len(permutation)), key=permutation.__getitem__)


def require_permutation(permutation: Sequence[int], n: int) -> None:
    """Raises: `OptionError` for what is no permutation of 0 .. n - 1."""
    if sorted(permutation) != list(range(n)):
        raise OptionError(f"expected a permutation of 0 .. {n - 1}, for each true variable the found one; got {permutation!r}.")
