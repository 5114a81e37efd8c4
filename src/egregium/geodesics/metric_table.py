"""The metric of a decoder of two latent dimensions, tabulated as polynomials on squares of the plane, where curves come by.

The squares are dyadic, so that what is tabulated at a point depends on that point alone and not on which curves have been
followed before. A square is decoded at Chebyshev's nodes, once; derivatives of the interpolated decoder give the metric there,
which is interpolated in turn. Where its coefficients have not died out the square is quartered. What is looked up are patches
of low degree cut from that polynomial.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.geodesics.atlas import Atlas
from egregium.numerics import chebyshev, patches
from egregium.numerics.derivatives import row_chunks

DEGREE = 16
ROOT, WIDE, OCTAVES = 1, 5, 16  # binary logarithms
LEAF = 1 / 16
FARTHEST = 1e5
UNKNOWN, SPLIT = 0, -1
OFFSET = 1 << 30
DECODED = 1 << 19  # numbers at a time: more leave the cache
GENEROUS = 6  # times the tolerance: the last coefficients are that much larger than the error, measured
JET, HELD = 256, 1 << 20  # numbers that a point's jet takes, and that are held at a time: more leave the cache
DEGENERATE = 1e-6  # squared sine of the angle between the coordinate lines


@dataclass(frozen=True)
class Jet:
    """The metric at N points and its derivatives: `table` `(N, 3, 6)`, components 11, 12, 22 against the orders 0 0, 1 0, 0 1,
    2 0, 1 1, 0 2 along the two axes."""

    table: Tensor

    @property
    def value(self) -> Tensor:
        """The metric `(N, 2, 2)`."""
        return full(self.table[..., 0])

    def along(self, v: Tensor) -> Tensor:
        """`(G v)_1, (G v)_2, v^T G v` of vectors v `(N, 2)`, and their derivatives at fixed v, `(N, 3, 6)`."""
        (x, y), zero = v.unbind(-1), torch.zeros_like(v[:, 0])
        return torch.stack([x, y, zero, zero, x, y, x * x, 2 * x * y, y * y], -1).unflatten(-1, (3, 3)) @ self.table


def slopes(table: Tensor) -> Tensor:
    """First derivatives `(..., 2)` from the orders `(..., 6)` of a jet."""
    return table[..., 1:3]


def bends(table: Tensor) -> Tensor:
    """Second derivatives `(..., 2, 2)` from the orders `(..., 6)` of a jet."""
    return table[..., 3:].unfold(-1, 2, 1)


@dataclass
class MetricTable:
    """Grows as points are asked for. What it says is not differentiable.

    Args:
        immerse: the decoder, `(N, 2) -> (N, A)`.
        tolerance: relative error of lengths in every direction that the polynomials may have.
        like: a tensor of the dtype and on the device of the points.
    """

    immerse: Callable[[Tensor], Tensor]
    tolerance: float
    like: Tensor
    corners: Tensor = field(init=False, repr=False)
    sizes: Tensor = field(init=False, repr=False)
    patches: Tensor = field(init=False, repr=False)
    decoded: int = field(init=False, default=0)
    _usual: Tensor = field(init=False, repr=False)
    _atlas: Atlas | None = field(init=False, repr=False, default=None)
    _levels: dict[int, tuple[Tensor, Tensor]] = field(init=False, repr=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.corners, self.sizes = self.like.new_zeros(1, 2), self.like.new_ones(1)
        self.patches = self.like.new_full((1, patches.CELLS**2, 3, patches.TERMS), torch.nan)
        self._usual = torch.ones(1, dtype=torch.bool, device=self.like.device)

    def locate(self, z: Tensor, extent: Tensor) -> Tensor:
        """Squares `(N,)` that hold points z `(N, 2)`, built where need be, for curves of so large an `extent` `(N,)`.

        The extent says, in steps of OCTAVES octaves, how large squares are at first: 2 for extents of 2^-11 to 2^5, else larger
        than it. UNKNOWN, where the metric is NaN, is the square of points that a sixteenth of the extent does not resolve.
        """
        near, usual = (z.abs() < FARTHEST * extent[:, None]).all(-1), _largest(extent) == ROOT
        known = torch.where(near & usual, self._known(z), UNKNOWN)
        found = torch.where(self.sizes.index_select(0, known) > LEAF * extent, known, UNKNOWN)
        rows = (near & (known == UNKNOWN)).nonzero().flatten()
        return found.index_copy(0, rows, self._searched(z[rows], extent[rows])) if len(rows) else found

    def _known(self, z: Tensor) -> Tensor:
        """Squares `(N,)` that hold points z `(N, 2)`, as far as searches for usual extents have led to them."""
        if self._atlas is None:
            rows = self._usual[1:].nonzero().flatten() + 1
            self._atlas = Atlas.of(rows, self.corners[rows], self.sizes[rows])
        return self._atlas.squares(z)

    def _searched(self, z: Tensor, extent: Tensor) -> Tensor:
        """What `locate` is to find, from the largest squares down to smaller ones."""
        found, largest = torch.full_like(extent, UNKNOWN, dtype=torch.long), _largest(extent)
        rows, exponent = torch.arange(len(z), device=z.device), int(largest.max())
        while len(rows):
            size = 2.0**exponent
            rows = rows[size > LEAF * extent[rows]]
            begun = rows[largest[rows] >= exponent]
            if len(begun):
                cell = torch.floor(z[begun] / size).long() + OFFSET
                squares = self._squares(exponent, (cell[:, 0] << 32) + cell[:, 1])
                found[begun] = squares.clamp_min(UNKNOWN)
                rows = rows[found[rows] == UNKNOWN]
            exponent -= 1
        usual = found[largest == ROOT]
        if not self._usual[usual].all():
            self._usual[usual], self._atlas = True, None
        return found

    def values(self, squares: Tensor, z: Tensor) -> Tensor:
        """The metric `(N, 2, 2)` at points z `(N, 2)` in `squares` `(N,)`."""
        return full(self.components(squares, z))

    def components(self, squares: Tensor, z: Tensor) -> Tensor:
        """Its components 11, 12, 22 `(N, 3)`."""
        found = z.new_empty(len(z), 3)
        for rows, patch, monomials in self._patches(squares, z):
            found[rows] = (patch @ monomials[..., None])[..., 0]
        return found

    def jets(self, squares: Tensor, z: Tensor) -> Jet:
        """The metric at points z `(N, 2)` in `squares` `(N,)`, with derivatives."""
        to_jets, scales = patches.to_jets(z.dtype, z.device), patches.scales(self.sizes)
        found = z.new_empty(len(z), 3, len(patches.ORDERS))
        for rows, patch, monomials in self._patches(squares, z):
            derived = (monomials @ to_jets).unflatten(-1, (-1, patches.TERMS))
            torch.mul(patch @ derived.mT, scales.index_select(0, squares[rows])[:, None], out=found[rows])
        return Jet(found)

    def _patches(self, squares: Tensor, z: Tensor) -> Iterator[tuple[slice, Tensor, Tensor]]:
        """Some rows at a time: the patches `(n, 3, TERMS)` that hold points z `(N, 2)`, and monomials `(n, TERMS)` there."""
        for rows in row_chunks(len(z), JET, HELD):
            some = squares[rows]
            corners, sizes = self.corners.index_select(0, some), self.sizes.index_select(0, some)
            cells, monomials = patches.place((z[rows] - corners) / sizes[:, None])
            flat = self.patches.flatten(0, 1).flatten(1)
            patch = flat.index_select(0, some * self.patches.shape[1] + cells)
            yield rows, patch.unflatten(-1, (3, -1)), monomials

    def _squares(self, exponent: int, keys: Tensor) -> Tensor:
        """For each key the number of its square, or SPLIT."""
        known, squares = self._levels.get(exponent, (keys.new_zeros(0), keys.new_zeros(0)))
        place = torch.searchsorted(known, keys)
        missing = F.pad(known, (0, 1), value=-1)[place] != keys
        if missing.any():
            new = keys[missing].unique()
            known, order = torch.cat([known, new]).sort()
            squares = torch.cat([squares, self._built(2.0**exponent, new)])[order]
            self._levels[exponent] = known, squares
            place = torch.searchsorted(known, keys)
        return squares[place]

    def _built(self, size: float, keys: Tensor) -> Tensor:
        """Decode new squares; their numbers, or SPLIT where polynomials do not do."""
        n = DEGREE + 1
        corners = torch.stack([(keys >> 32) - OFFSET, (keys & 0xFFFFFFFF) - OFFSET], -1).double() * size
        x = 0.5 * size * (chebyshev.nodes(DEGREE).to(corners.device) + 1)
        grid = torch.stack(torch.meshgrid(x, x, indexing="ij"), -1)
        self.decoded += len(keys) * n * n
        width = self.immerse(self.like.new_zeros(1, 2)).shape[-1]
        metric = []
        for rows in row_chunks(len(keys), n * n * width, DECODED):
            z = corners[rows, None, None] + grid
            decoded = self.immerse(z.flatten(0, 2).to(self.like)).unflatten(0, z.shape[:3])
            metric.append(_induced(decoded, size))
        values = torch.cat(metric)
        matrix = chebyshev.to_coefficients(DEGREE).to(values)
        coefficients = torch.einsum("ai,bj,pijk->pakb", matrix, matrix, values)
        cut = patches.cut(coefficients)
        good = _resolved(coefficients, cut, values, self.tolerance)
        squares = torch.full_like(keys, SPLIT)
        squares[good] = torch.arange(int(good.sum()), device=keys.device) + len(self.sizes)
        self.corners = torch.cat([self.corners, corners[good].to(self.like)])
        self._usual = F.pad(self._usual, (0, int(good.sum())))
        self.sizes = torch.cat([self.sizes, self.like.new_full((int(good.sum()),), size)])
        self.patches = torch.cat([self.patches, cut[good].to(self.like)])
        return squares


def _largest(extent: Tensor) -> Tensor:
    """Binary logarithms `(N,)` of the sizes that squares have at first for curves of so large an `extent`."""
    steps = torch.ceil((torch.log2(extent) - WIDE) / OCTAVES)
    return torch.where(steps == 0, ROOT, WIDE + OCTAVES * steps)


def _induced(decoded: Tensor, size: float) -> Tensor:
    """Metric `(p, n, n, 3)` in components 11, 12, 22 at the nodes of squares from decoded values `(p, n, n, A)` there."""
    derive = chebyshev.to_slopes(DEGREE).to(decoded) * (2 / size)
    along, across = (derive @ decoded.flatten(2)).view_as(decoded), derive @ decoded
    return torch.stack([(along * along).sum(-1), (along * across).sum(-1), (across * across).sum(-1)], -1).double()


def _resolved(coefficients: Tensor, cut: Tensor, values: Tensor, tolerance: float) -> Tensor:
    """Whether what the last coefficients add is small against the least eigenvalue, patches `cut` agree, and no rank is lost.

    Of squares, `(p,)`.
    """
    tail = coefficients.clone()
    tail[:, : DEGREE - 1, :, : DEGREE - 1] = 0
    g11, g12, g22 = values.flatten(1, 2).unbind(-1)
    half, determinant = 0.5 * (g11 + g22), g11 * g22 - g12**2
    least = determinant / (half + torch.sqrt((half - g22) ** 2 + g12**2))
    error = torch.linalg.vector_norm(tail, dim=(1, 3)).sum(-1)
    cells, monomials = _at_nodes(values.device)
    strayed = torch.linalg.vector_norm((cut[:, cells] @ monomials[..., None])[..., 0] - values.flatten(1, 2), dim=-1)
    regular = (determinant > DEGENERATE * g11 * g22).all(-1) & (strayed <= 2 * tolerance * least).all(-1)
    return regular & torch.isfinite(error) & (error <= GENEROUS * tolerance * least.amin(-1))


@lru_cache(maxsize=2)
def _at_nodes(device: torch.device) -> tuple[Tensor, Tensor]:
    """Cells and monomials at the nodes at which squares are decoded."""
    x = 0.5 * (chebyshev.nodes(DEGREE) + 1)
    return patches.place(torch.cartesian_prod(x, x).to(device))


def full(components: Tensor) -> Tensor:
    """Symmetric matrices `(..., 2, 2)` from components 11, 12, 22 `(..., 3)`."""
    return components[..., [0, 1, 1, 2]].unflatten(-1, (2, 2))
