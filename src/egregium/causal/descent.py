"""Which variables descend from which: those that change with what an intervention sets."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.causal.normal_scores import hermite, normal_scores

DEGREE = 3  # of the value set, in which its effects are sought


@dataclass(frozen=True, eq=False)
class Descent:
    """How far each variable follows each other one when that is set.

    Attributes:
        effect: `(n, n)`, entry (i, j) the variance of the change of variable j that the value set on variable i explains, in
            normal scores, where z_j before has variance 1; what chance explains is taken off.
        p_values: `(n, n)`, the chance of so large an entry anywhere if no variable descended from any.
    """

    effect: Tensor
    p_values: Tensor

    @property
    def order(self) -> tuple[int, ...]:
        """A causal order: again and again the variable that follows those left the least."""
        left, found = list(range(len(self.effect))), []
        while left:
            incoming = self.effect[left][:, left].sum(0)
            found.append(left.pop(int(incoming.argmin())))
        return tuple(found)


def descent(before: Tensor, after: Tensor, targets: Tensor, permutations: int, generator: torch.Generator) -> Descent:
    r"""Effects of interventions on all other variables, with their permutation null.

    Of pairs with target i let u be the normal score of the value set, and d_j the change of z_j. A perfect intervention draws u
    independently of all that was before, so that for a variable j that does not descend from i, u is independent of
    `(z, d_j)`: permuting u over these pairs changes no law, and the test is exact. The statistic is

    .. math:: \sum_{k=1}^{3} \sum_{h} \bigl(\operatorname{mean} \, H_k(u) \, h(z) \, d_j \bigr)^2, \quad h \in \{1, z_i, z_j\},

    H_k Hermite's polynomials: as `H_k(u) h(z)` are orthonormal, the variance of d_j that they explain. That z before is known
    makes d_j free of all that the intervention leaves alone. The largest statistic of all pairs of variables, each divided by
    its mean over permutations, gives p-values that hold for all together (Westfall and Young 1993).

    Args:
        before, after: normal scores `(N, n)`.
        targets: `(N,)`.
    """
    n = before.shape[1]
    effect, scaled = torch.zeros(n, n, dtype=torch.float64), torch.zeros(n, n, dtype=torch.float64)
    largest = torch.zeros(permutations, dtype=torch.float64)
    for i in range(n):
        rows = targets == i + 1
        found, null = _explained(before[rows], after[rows], i, permutations, generator)
        mean = null.mean(0)
        effect[i], scaled[i] = (found - mean).clamp_min(0), _ratio(found, mean)
        largest = torch.maximum(largest, _ratio(null, mean).amax(1))
    p_values = (1 + (largest >= scaled[..., None]).sum(-1)).double() / (permutations + 1)
    return Descent(effect, p_values.fill_diagonal_(1.0))


def _explained(before: Tensor, after: Tensor, i: int, permutations: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The statistics `(n,)`, that of i itself 0, and `(permutations, n)` of permuted values."""
    change = after - before
    change[:, i] = 0
    number, n = change.shape
    values = hermite(normal_scores(after[:, i : i + 1])[:, 0], DEGREE).T  # (k, rows)
    moved = torch.stack([change, change * before[:, i : i + 1], change * before]).permute(1, 0, 2).reshape(number, 3 * n)
    moved = moved - moved.mean(0)
    shuffled = torch.stack([torch.randperm(number, generator=generator) for _ in range(permutations)])
    every = torch.cat([torch.arange(number)[None], shuffled])
    means = values[:, every].transpose(0, 1).reshape(-1, number) @ moved / number
    found = means.reshape(permutations + 1, -1, n).square().sum(1)
    return found[0], found[1:]


def _ratio(found: Tensor, mean: Tensor) -> Tensor:
    return torch.where(mean > 0, found / mean.clamp_min(torch.finfo(mean.dtype).tiny), 0.0)
