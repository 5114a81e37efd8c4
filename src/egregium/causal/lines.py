r"""Lines through 0 on which the differences of pairs lie, when the mixing is linear and interventions are atomic.

With `x = R z` and a linear structural model `z = W z + e`, an observation is `x = B e`, `B = R (I - W)^-1`. An intervention on
one variable i changes the noise encoding `e` in coordinate i alone, so that `x_after - x` is a multiple of column i of B: what
the variable and all that follow from it contribute. The differences lie on n lines, one a variable, and are 0 where nothing
was intervened on. Rounding is the only noise, so no clustering by distance is needed: the longest difference that is left has
the most exact direction, and takes its line with it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import ModelError

FEWEST = 3  # pairs that make a line: of so many none share a direction by chance
ADVICE = (
    "Either the mixing is not linear, or interventions move several variables at once, or there are too few pairs, or rtol is "
    "too small for the noise of the observations. For nonlinear mixing train an ILCM instead."
)
INDEPENDENT = 1e-10  # least singular value of unit directions, relative to the largest


@dataclass(frozen=True)
class Lines:
    """Unit `directions` `(D, n)` of the lines, and on which each difference lies: `line` `(N,)`, -1 for 0, on none."""

    directions: Tensor
    line: Tensor

    @property
    def n(self) -> int:
        """Number of lines."""
        return self.directions.shape[1]


def find_lines(difference: Tensor, error: Tensor, n: int | None = None) -> Lines:
    """The lines through 0 on which vectors lie, found from the longest on; without random starts.

    Each step takes the longest vector that lies on no line yet, and all others that are parallel to it within their error.
    Then each goes to the nearest line, whose direction is the principal one of its vectors. Equivariant under rotations.

    Args:
        difference: `(N, D)`, float64.
        error: `(N,)`, how long the error of each may be; those no longer than it are taken for 0.
        n: the number of lines; as many as there are by default.

    Cost: O(N D n), or O(N D) where there are no lines.

    Raises: `ModelError` if the vectors lie on no n lines, or on lines that are not independent.

    >>> vectors = torch.tensor([[1.0, 0], [2, 2], [0, 0], [-3, 0], [1, 1], [2, 0], [3, 3]], dtype=torch.float64)
    >>> found = find_lines(vectors, torch.full((7,), 1e-9))
    >>> found.n, found.line.tolist()
    (2, [1, 0, -1, 1, 0, 1, 0])
    """
    length = torch.linalg.vector_norm(difference, dim=1)
    moved = (length > error).nonzero()[:, 0]
    left, found = moved[length[moved].argsort(descending=True)], []
    while len(left):
        _require_room(len(left), len(moved), len(found), difference.shape[1] if n is None else n)
        direction, beside = _longest_line(difference[left], length[left], error[left])
        _require_company(int((~beside).sum()), len(left), len(found))
        found.append(direction)
        left = left[beside]
    if not found or (n is not None and len(found) != n):
        raise ModelError(
            f"the differences x_after - x lie on {len(found)} lines through 0, and {n or 'at least 1'} were expected: each "
            "variable needs interventions on it alone."
        )
    return _refined(difference, moved, torch.stack(found, 1))


def _longest_line(difference: Tensor, length: Tensor, error: Tensor) -> tuple[Tensor, Tensor]:
    """Direction of the first, longest vector, and which lie beside its line."""
    direction = difference[0] / length[0]
    apart = torch.linalg.vector_norm(difference - (difference @ direction)[:, None] * direction, dim=1)
    return direction, apart > error + error[0] * length / length[0]


def _refined(difference: Tensor, moved: Tensor, directions: Tensor) -> Lines:
    """Each vector on its nearest line, and the lines' directions from all on them."""
    line = torch.full((len(difference),), -1)
    line[moved] = (difference[moved] @ directions).abs().argmax(1)
    for _ in range(2):  # of the power method: the others are rounding
        each = [difference[line == k] for k in range(directions.shape[1])]
        directions = torch.stack([some.T @ (some @ u) for some, u in zip(each, directions.T, strict=True)], 1)
        directions = directions / torch.linalg.vector_norm(directions, dim=0)
    directions = directions * directions.gather(0, directions.abs().argmax(0, keepdim=True)).sign()
    singular = torch.linalg.svdvals(directions)
    if float(singular[-1]) < INDEPENDENT * float(singular[0]):
        raise ModelError("the differences lie on lines that are not independent, as no injective linear mixing makes them.")
    return Lines(directions, line)


def _require_room(left: int, moved: int, found: int, most: int) -> None:
    if found == most:
        raise ModelError(
            f"the differences x_after - x do not lie on {most} lines through 0: {left} of {moved} lie on none of the first "
            f"{most} found. {ADVICE}"
        )


def _require_company(together: int, left: int, found: int) -> None:
    if together < FEWEST:
        raise ModelError(
            f"the differences x_after - x do not lie on lines through 0: after {found} lines, {together} of the {left} that "
            f"are left have the direction of the longest, and a line needs {FEWEST}. {ADVICE}"
        )
