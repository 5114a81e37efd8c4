"""Integrals over intervals, spheres and boxes: rules of Gauss, and panels and boxes halved where they are needed."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from numpy.polynomial.legendre import leggauss
from scipy.special import eval_legendre, roots_jacobi
from torch import Tensor

from egregium.status import Status

NODES = 6
PANELS = 2  # that an interval starts with; all of them are halved twice
MOST_PANELS = 1 << 11
KINKED = 0.25  # by which errors fall, at most, where panels with a kink are halved


def gauss_legendre(n: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """n nodes and weights `(n,)` on [0, 1], exact up to degree `2 n - 1`.

    >>> t, weights = gauss_legendre(2, torch.zeros(1).double())
    >>> round(float(weights @ t**3), 12)
    0.25
    """
    nodes, weights = (torch.as_tensor(x).to(like) for x in leggauss(n))
    return 0.5 * (nodes + 1), 0.5 * weights


def gauss_lobatto(n: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """n nodes, both ends among them, and weights `(n,)` on [0, 1], exact up to degree `2 n - 3`.

    >>> t, weights = gauss_lobatto(3, torch.zeros(1).double())
    >>> t.tolist(), round(float(weights @ t**3), 12)
    ([0.0, 0.5, 1.0], 0.25)
    """
    inner = roots_jacobi(n - 2, 1, 1)[0] if n > 2 else ()
    nodes = torch.as_tensor([-1.0, *inner, 1.0], dtype=torch.float64)
    weights = 1 / (n * (n - 1) * torch.as_tensor(eval_legendre(n - 1, nodes.numpy())) ** 2)
    return (0.5 * (nodes + 1)).to(like), weights.to(like)


def sphere_rule(d: int, n: int, like: Tensor) -> tuple[Tensor, Tensor]:
    """Unit vectors `(m, d)` and weights `(m,)` that integrate over the sphere in `R^d`, exactly up to degree `2 n - 1`.

    By the height along the first axis, with Gauss-Jacobi nodes, and the sphere of one dimension less; on the circle by 2 n
    equal angles. There are 2 points in d = 1, and `2 n^(d - 1)` in higher dimensions.

    >>> sphere_rule(3, 4, torch.zeros(1).double())[1].sum().item() / torch.pi
    4.0...
    """
    if d == 1:
        return torch.tensor([[1.0], [-1.0]]).to(like), torch.ones(2).to(like)
    if d == 2:
        angle = torch.arange(2 * n, dtype=torch.float64) * (torch.pi / n)
        return torch.stack([angle.cos(), angle.sin()], -1).to(like), torch.full_like(angle, torch.pi / n).to(like)
    power = 0.5 * (d - 3)
    height, share = (torch.as_tensor(x).to(like) for x in roots_jacobi(n, power, power))
    around, weight = sphere_rule(d - 1, n, like)
    across = (1 - height**2).sqrt()
    points = torch.cat([height[:, None, None].expand(-1, len(around), 1), across[:, None, None] * around], -1)
    return points.flatten(0, 1), (share[:, None] * weight).flatten()


@dataclass(frozen=True)
class Integral:
    """Value and error, scalars in float64; the number of points; and CONVERGED, MAX_STEPS or NONFINITE."""

    value: Tensor
    error: Tensor
    points: int
    status: Status


def over_box(f: Callable[[Tensor], Tensor], low: Tensor, high: Tensor, *, rtol: float, most: int) -> Integral:
    """Integrate `f: (N, d) -> (N,)` over the box from `low` to `high` `(d,)`.

    Boxes are cut in `2^d` as long as the rule of Gauss with 6 nodes an axis and that on the parts differ by more than the share
    of `rtol` that the box may take; the difference, generously, is the error of the finer one. At most some `most` points.
    """
    lows, sides = low[None], (high - low)[None]
    whole, points = _gauss(f, lows, sides), NODES ** len(low)
    value = error = low.new_zeros((), dtype=torch.float64)
    while True:
        lows, sides = _cut(lows, sides)
        fine = _gauss(f, lows, sides)
        points += len(lows) * NODES ** len(low)
        both = fine.unflatten(0, (len(whole), -1)).sum(1)
        wrong = (both - whole).abs()
        total = value + both.sum()
        if not torch.isfinite(total):
            return Integral(total, torch.full_like(total, torch.inf), points, Status.NONFINITE)
        left = wrong > 0.5 * rtol * total.abs() * (sides[:: 2 ** len(low)] * 2).prod(-1) / (high - low).prod()
        if error + wrong.sum() <= rtol * total.abs():
            left = torch.zeros_like(left)
        value, error = value + both[~left].sum(), error + wrong[~left].sum()
        parts = left.repeat_interleave(2 ** len(low))
        if not left.any() or points + int(parts.sum()) * (2 * NODES) ** len(low) > most:
            value, error = value + both[left].sum(), error + wrong[left].sum()
            return Integral(value, error, points, Status.MAX_STEPS if left.any() else Status.CONVERGED)
        lows, sides, whole = lows[parts], sides[parts], fine[parts]


@dataclass(frozen=True)
class Integrals:
    """Values and errors `(R, k)` in float64, and CONVERGED, MAX_STEPS or NONFINITE of each row, `(R,)`."""

    value: Tensor
    error: Tensor
    status: Tensor


def over_unit_interval(
    f: Callable[[Tensor, Tensor], Tensor], rows: int, like: Tensor, *, rtol: float, most: int = MOST_PANELS
) -> Integrals:
    """Integrate R rows of k functions over [0, 1], each row cut where it needs it, whatever the others need.

    Panels are halved, as in `over_box`, until the errors of all k integrals of a row are at most `rtol` of its first one. The
    rule of Lobatto looks at the ends of panels too: that of Gauss took panels for smooth that have a kink close to an end.
    What is narrower than 1/40 may go unnoticed, and is then in no error; at corners that was up to four times too small.

    Args:
        f: the k functions `(M, k)` of the rows `(M,)`, integers, at parameters `(M,)`.
        rows: R.
        like: a tensor of the dtype and on the device of the parameters.
        most: panels of a row that are halved, at most some.

    Cost: 98 points a row, and 14 for each panel that is halved after that.

    >>> found = over_unit_interval(lambda row, t: (t ** (row + 1))[:, None], 3, torch.zeros(1).double(), rtol=1e-12)
    >>> [round(value, 6) for value in found.value[:, 0].tolist()]
    [0.5, 0.333333, 0.25]
    """
    row = torch.arange(rows, device=like.device).repeat_interleave(PANELS)
    low, side = (torch.arange(PANELS).to(like) / PANELS).repeat(rows), 1 / PANELS
    whole = _on_panels(f, row, low, side)
    last, rate = torch.full_like(whole, torch.inf), torch.zeros_like(whole)
    value = whole.new_zeros(rows, whole.shape[1])
    error, used = torch.zeros_like(value), torch.zeros(rows, dtype=torch.long, device=like.device)
    while len(row):
        side = 0.5 * side
        halves = torch.stack([low, low + side], 1)
        fine = _on_panels(f, row.repeat_interleave(2), halves.flatten(), side).unflatten(0, (-1, 2))
        both = fine.sum(1)
        change, used = (both - whole).abs(), used.index_add(0, row, torch.ones_like(row))
        first = last.isinf()
        # Where both rules agree by chance, the error is taken to fall as it did before.
        wrong = torch.where(first, change, torch.maximum(change, rate * last))
        rate = torch.where(first, KINKED, (change / last).nan_to_num().clamp_max(KINKED))
        total, doubt = value.index_add(0, row, both), error.index_add(0, row, wrong)
        bound = rtol * total[:, :1].abs()
        stopped = (doubt <= bound).all(-1) | ~torch.isfinite(total).all(-1) | (used >= most)
        left = ((wrong > bound[row] * side).any(-1) & ~stopped[row]) | first.any(-1)
        value, error = value.index_add(0, row[~left], both[~left]), error.index_add(0, row[~left], wrong[~left])
        low, whole = halves[left].flatten(), fine[left].flatten(0, 1)
        row, last, rate = (one[left].repeat_interleave(2, 0) for one in (row, wrong, rate))
    met = (error <= rtol * value[:, :1].abs()).all(-1)
    status = torch.where(met, int(Status.CONVERGED), int(Status.MAX_STEPS))
    status = torch.where(torch.isfinite(value).all(-1), status, int(Status.NONFINITE))
    return Integrals(value, error, status.to(torch.int8))


def _on_panels(f: Callable[[Tensor, Tensor], Tensor], row: Tensor, low: Tensor, side: float) -> Tensor:
    """The integrals `(B, k)` over panels from `low` `(B,)`."""
    node, weight = gauss_lobatto(NODES + 1, low)
    t = (low[:, None] + side * node).flatten()
    values = f(row.repeat_interleave(len(node)), t).double().unflatten(0, (-1, len(node)))
    return side * (weight.double()[:, None] * values).sum(1)


def _cut(lows: Tensor, sides: Tensor) -> tuple[Tensor, Tensor]:
    """Each of B boxes `(B, d)` in `2^d`, one after the other."""
    d = lows.shape[1]
    corners = torch.cartesian_prod(*[torch.arange(2)] * d).reshape(-1, d).to(lows)
    half = 0.5 * sides[:, None]
    return (lows[:, None] + corners * half).flatten(0, 1), half.expand(-1, 2**d, -1).flatten(0, 1)


def _gauss(f: Callable[[Tensor], Tensor], lows: Tensor, sides: Tensor) -> Tensor:
    """The integral over each box, `(B,)` in float64."""
    d = lows.shape[1]
    node, weight = gauss_legendre(NODES, lows)
    nodes = torch.cartesian_prod(*[node] * d).reshape(-1, d)
    weights = torch.cartesian_prod(*[weight] * d).reshape(-1, d).double().prod(-1)
    values = f((lows[:, None] + nodes * sides[:, None]).flatten(0, 1)).double().unflatten(0, (len(lows), -1))
    return (values @ weights) * sides.double().prod(-1)
