"""How far a found graph is from the true one: with variables assigned, or under the best assignment."""

from itertools import permutations

import torch

from egregium.causal.dag import DAG
from egregium.errors import OptionError, ShapeError

LARGEST = 8


def structural_hamming_distance(true: DAG, found: DAG) -> int:
    """Number of pairs of variables between which the edge is missing, too much or the wrong way round, each counted once.

    Variables must correspond: bring a found graph to the true numbers with `Alignment.graph` first.

    Raises: `ShapeError` for graphs on different numbers of variables.

    References: Tsamardinos, Brown, Aliferis 2006 (doi 10.1007/s10994-006-6889-7).

    >>> structural_hamming_distance(DAG([(), (0,), (1,)]), DAG([(1,), (), (1,)]))
    1
    """
    _require_equal_size(true, found)
    differs = true.adjacency ^ found.adjacency
    return int((differs | differs.T).triu(1).sum())


def graph_edit_distance(true: DAG, found: DAG) -> int:
    """Fewest edges to insert or take away until the graphs are isomorphic; a reversed edge counts two.

    Invariant under relabelling of either graph. As both have n variables, none is ever inserted, so that this is
    `min_P |A - P A' P^T|_1` over permutations, all of which are tried. Cost: n! n^2: a quarter of a second at n = 8.

    Raises: `ShapeError` for graphs on different numbers of variables; `OptionError` for more than 8 variables.

    References: Sanfeliu and Fu 1983 (doi 10.1109/TSMC.1983.6313167).

    >>> graph_edit_distance(DAG([(), (0,), (1,)]), DAG([(1,), (2,), ()]))
    0
    """
    _require_equal_size(true, found)
    if true.n > LARGEST:
        raise OptionError(
            f"graph_edit_distance tries all relabellings, of at most {LARGEST} variables; got {true.n}: align the variables "
            "with spearman_mcc and use structural_hamming_distance."
        )
    orders = torch.tensor(list(permutations(range(true.n))))
    flat = (orders[:, :, None] * true.n + orders[:, None, :]).flatten(1)
    return int((found.adjacency.flatten()[flat] ^ true.adjacency.flatten()).sum(1).min())


def _require_equal_size(true: DAG, found: DAG) -> None:
    if true.n != found.n:
        raise ShapeError(
            f"graphs are compared on one set of variables; got {true.n} in the true and {found.n} in the found one."
        )
