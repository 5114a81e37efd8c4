r"""The graph that the solution of a structural causal model shows in its derivatives."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.causal.checks import require_samples
from egregium.causal.dag import DAG
from egregium.errors import ModelError, OptionError
from egregium.numerics.derivatives import jacobian

TOLERANCE = 0.05
SINGULAR = 1e-10


@dataclass(frozen=True, eq=False)
class SolutionGraph:
    """What `graph_by_solution` found.

    Attributes:
        graph: edges whose strength is above the tolerance, in the causal order of the strengths.
        order: that order.
        strength: `(n, n)`, entry (i, j) that of i as a parent of j.
        against: the largest strength of all that goes against the order: 0 for a solution that is triangular, so that a
            tolerance below it has no meaning.
        tolerance: as given.
    """

    graph: DAG
    order: tuple[int, ...]
    strength: Tensor
    against: float
    tolerance: float


def graph_by_solution(solution: Callable[[Tensor], Tensor], noise: Tensor, *, tolerance: float = TOLERANCE) -> SolutionGraph:
    r"""The graph of a model from its solution `s: e -> z`, by the inverse of its Jacobian.

    As `z_i = f_i(e_i; z_pa)`, derivatives by e give `J = A J + D`, where `A_ij = df_i/dz_j` is 0 unless j is a parent of i and
    D is diagonal, `D_ii = df_i/de_i`, not 0. J is invertible, with

    .. math:: J^{-1} = D^{-1} (I - A), \qquad A_{ij} = - (J^{-1})_{ij} / (J^{-1})_{ii}, \quad i \neq j:

    `(J^-1)_ij` is not 0 exactly where z_i depends on z_j directly, and not through others. Strength of the edge from j to i is

    .. math:: \sqrt{ E \, (J^{-1})_{ij}^2 \, (J_{jj})^2 } ,

    a change of the noise of i that makes up for one unit of the noise of j, passed on by the edge alone. Elementwise
    diffeomorphisms h of the variables cancel, as J_ij gets the factor h_i' and (J^-1)_ij the factor 1/h_j'; noises are
    compared in the units they have, those of N(0, 1) in an ILCM, where all have one law.

    The threshold is a tolerance, not a level: derivatives of a function have no sampling error, and a network that was trained
    has derivatives that are small, never 0. Permuting the noises of a sample coordinate by coordinate leaves its law, since
    noises are independent, and so gives no null. What can be said is `against`, the size of derivatives which ought to be 0;
    for a significance level use `graph_by_dependence`, on samples.

    Args:
        solution: `(N, n) -> (N, n)`, row by row, differentiable; such as `SCM.solve`.
        noise: `(N, n)`, a sample of its law: E is the mean over it.
        tolerance: least strength of an edge.

    Cost: n forward derivatives of `solution`, O(N n^3).

    Raises: `ShapeError`, `TensorError`; `OptionError`; `ModelError` where a Jacobian is singular.

    References: Brehmer et al. 2022 (arXiv 2203.16437) for solution functions.

    >>> from egregium.causal import SCM
    >>> scm = SCM.linear(torch.tensor([[0.0, 2, 0], [0, 0, 1], [0, 0, 0]]))
    >>> found = graph_by_solution(scm.solve, torch.randn(50, 3, generator=torch.Generator().manual_seed(0)))
    >>> found.graph.edges, found.strength[0].tolist()
    (((0, 1), (1, 2)), [0.0, 2.0, 0.0])
    """
    require_samples(noise, names=("noise",))
    if not tolerance >= 0:
        raise OptionError(f"graph_by_solution(tolerance=) is a number from 0; got {tolerance!r}.")
    J = jacobian(solution, noise)
    if J.shape != (*noise.shape, noise.shape[1]):
        raise ModelError(
            f"solution must map noises {tuple(noise.shape)} to as many variables; its Jacobian is {tuple(J.shape)}."
        )
    J = J.detach().cpu().double()
    singular = torch.linalg.svdvals(J)
    if not bool(torch.isfinite(J).all()) or bool((singular[:, -1] <= SINGULAR * singular[:, 0]).any()):
        raise ModelError("the Jacobian of solution is singular or not finite: it must be a diffeomorphism of the noises.")
    pull = torch.linalg.inv(J) * J.diagonal(dim1=-2, dim2=-1)[:, None]
    strength = pull.square().mean(0).sqrt().T.clone().fill_diagonal_(0)
    order = _order(strength)
    place = torch.tensor(order).argsort()
    forward = place[:, None] < place
    against = float(strength.masked_fill(forward, 0).max())
    return SolutionGraph(DAG.from_adjacency(forward & (strength > tolerance)), order, strength, against, tolerance)


def _order(strength: Tensor) -> tuple[int, ...]:
    """Again and again the variable on which those left act the least."""
    left, found = list(range(len(strength))), []
    while left:
        found.append(left.pop(int(strength[left][:, left].sum(0).argmin())))
    return tuple(found)
