r"""The graph of causal variables by what depends on what: calibrated tests on pairs before and after interventions."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.causal.checks import require_pairs
from egregium.causal.conditional import conditional_dependence
from egregium.causal.dag import DAG
from egregium.causal.descent import descent
from egregium.causal.normal_scores import normal_scores
from egregium.errors import OptionError, TensorError

LEVEL = 0.01
TOLERANCE = 7e-3
PERMUTATIONS = 199
PAIRS = 20  # that each variable must be the target of
ROWS = 100  # for each variable: ten for each function of it


@dataclass(frozen=True, eq=False, repr=False)
class DependenceGraph:
    """What `graph_by_dependence` found.

    Attributes:
        graph: edges that are significant and larger than the tolerance.
        order: the causal order in which parents were looked for.
        strength: `(n, n)`, entry (i, j) the share of the variance of variable j, in location or scale, that i explains of what
            the other predecessors of j leave; 0 where i does not precede j.
        p_values: `(n, n)` of these, for all together; 1 where i does not precede j.
        effect: `(n, n)`, entry (i, j) the variance of the change of j that the value set on i explains, z_j having variance 1.
        effect_p_values: `(n, n)` of these, for all together, exact under perfect interventions.
        level, tolerance: as given.
    """

    graph: DAG
    order: tuple[int, ...]
    strength: Tensor
    p_values: Tensor
    effect: Tensor
    effect_p_values: Tensor
    level: float
    tolerance: float

    def __repr__(self) -> str:
        n, edges = self.graph.n, len(self.graph.edges)
        return f"DependenceGraph({n} variables, {edges} edges at level {self.level:g}, tolerance {self.tolerance:g})"


def graph_by_dependence(
    z: Tensor,
    z_after: Tensor,
    targets: Tensor,
    *,
    level: float = LEVEL,
    tolerance: float = TOLERANCE,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> DependenceGraph:
    r"""The graph of causal variables, from pairs before and after perfect atomic interventions, by calibrated tests.

    1. Order: where i is the target, its descendants change with the value set and nothing else does (`descent`). Again and
       again the variable that follows those left the least comes next.
    2. Parents: of the variables that precede i, j is a parent exactly if

       .. math:: z_i \not\perp z_j \mid z_k, \; k \prec i, \; k \neq j,

       whatever the mechanisms, if the law of the variables is faithful to this one statement; tested on the variables before
       (`conditional_dependence`), all such j and i together.

    Both look at ranks alone: elementwise increasing maps of the variables change nothing, decreasing ones up to rounding.

    Learned variables are mixed a little, and of 1e5 rows any test sees it. So an edge must explain a share `tolerance` of what
    the other predecessors leave of its child as well. A rotation by an angle a between standardised variables brings shares of
    the order of a^2: 3e-4 at 1 degree and 1e-3 at 2 for most, some times more in graphs of many edges. On 40,000 rows of 2 to
    10 exact variables the largest share without an edge was 8e-3, where mechanisms bend in ways that the functions of the test
    do not express; all but a few true edges explain more than 1e-2 (docs/results/graphs.md).

    Args:
        z, z_after: `(N, n)`, n >= 2, N at least 100 n: causal variables, up to order and a diffeomorphism of each.
        targets: `(N,)`, 0 for none, i + 1 for variable i; each variable must be the target of 20 pairs.
        level: chance that an edge that is not there is significant, anywhere in the graph.
        tolerance: least share of an edge, 0 for exact variables with simple mechanisms.
        permutations: draws of each null; `(permutations + 1) level` must be 1 or more.
        seed: of these draws.

    Cost: O(N m^2) operations with m = 8 n + 9 n (n - 1) / 2 functions: see docs/results/graphs.md.

    Raises: `ShapeError`, `TensorError` (NaN, constant columns, targets out of range or with too few pairs); `OptionError`.

    References: Brehmer et al. 2022 (arXiv 2203.16437) for the setting; Shah and Peters 2020 (arXiv 1804.07203) and Westfall
    and Young 1993 (Resampling-based multiple testing) for the tests.

    >>> generator = torch.Generator().manual_seed(0)
    >>> noise, fresh = torch.randn(2, 900, 2, generator=generator)
    >>> targets = torch.arange(900) % 3
    >>> root = torch.where(targets == 1, fresh[:, 0], noise[:, 0])
    >>> child = torch.where(targets == 2, fresh[:, 1], root.square() + noise[:, 1])
    >>> z = torch.stack([noise[:, 0], noise[:, 0].square() + noise[:, 1]], 1)
    >>> graph_by_dependence(z, torch.stack([root, child], 1), targets).graph.edges
    ((0, 1),)
    """
    require_pairs(z, z_after, targets, PAIRS)
    number, n = z.shape
    if number < ROWS * n:
        raise TensorError(f"graph_by_dependence needs {ROWS * n} pairs for {n} variables; got {number}: give more pairs.")
    _require_options(level, tolerance, permutations)
    generator = torch.Generator().manual_seed(seed)
    before, after = (one.detach().cpu() for one in (z, z_after))
    before, after = normal_scores(before), normal_scores(after, before)
    moves = descent(before, after, targets.cpu(), permutations, generator)
    order = moves.order
    questions = [(i, j, tuple(k for k in order[:place] if k != j)) for place, i in enumerate(order) for j in order[:place]]
    answers = conditional_dependence(before, questions, permutations, generator)
    children, parents = torch.tensor([question[:2] for question in questions]).T
    strength, p_values = torch.zeros(n, n, dtype=torch.float64), torch.ones(n, n, dtype=torch.float64)
    strength[parents, children], p_values[parents, children] = answers.strength, answers.p_values
    graph = DAG.from_adjacency((p_values <= level) & (strength > tolerance))
    return DependenceGraph(graph, order, strength, p_values, moves.effect, moves.p_values, level, tolerance)


def _require_options(level: float, tolerance: float, permutations: int) -> None:
    if not 0 < level < 1:
        raise OptionError(f"graph_by_dependence(level=) is a probability between 0 and 1; got {level!r}.")
    if not 0 <= tolerance < 1:
        raise OptionError(f"graph_by_dependence(tolerance=) is a share of variance from 0 to below 1; got {tolerance!r}.")
    if permutations < 2 or (permutations + 1) * level < 1 - 1e-9:
        raise OptionError(
            f"with {permutations} permutations no p-value is below {1 / (permutations + 1):.2g}: level {level:g} needs at "
            f"least {max(2, round(1 / level) - 1)}."
        )
