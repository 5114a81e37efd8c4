"""Parallel transport: tangent vectors carried along a curve without turning."""

from itertools import pairwise

import torch
from torch import Tensor

from egregium.errors import NotConvergedError, ShapeError
from egregium.geodesics.closing import close
from egregium.geodesics.frames import Frames, orthogonal
from egregium.geodesics.geodesic import Geodesic
from egregium.geodesics.measure import extrapolate
from egregium.geodesics.options import require_immersed, require_on_fail, require_tolerance
from egregium.geodesics.shooting import carry
from egregium.numerics.rounding import reachable
from egregium.protocols import ClosedForm, Composite, ImmersedSpace, KnownSpace, Space
from egregium.relations.verbs import factored, where_ok
from egregium.spaces.points import flat

COARSE = 4
CLOSER = 0.1  # the tolerance to which geodesics close: transport errs by some 20 times as much on folded decoders
FINER = 0.01  # of the tolerance asked for: that of one step


def transport(space: Space, g: Geodesic | Tensor, v: Tensor, *, rtol: float = 1e-5, on_fail: str = "raise") -> Tensor:
    r"""Parallel transport of tangent vectors `v` `(*batch, d)` from the start to the end of each curve, `(*batch, d)`.

    Tangent vectors at the end with all inner products kept, to rounding; they transform by the Jacobian of a
    reparametrisation. Along geodesics by the equation `E' = -J^+ f''(z', E)` for a frame E; along curves of one's own by the
    orthogonal parts of `Q_{i+1}^T Q_i`, Q the frames of tangent spaces at its nodes, multiplied and extrapolated.

    Args:
        g: geodesics, whose direction is refined until they close to a tenth of `rtol`, as in `log`; or nodes `(*batch, n, d)`
            at uniform parameters of smooth curves, `n - 1` a multiple of 4.
        v: tangent vectors at the start.
        rtol: of one's own curves, the angle in radians by which the extrapolation may still be off; of geodesics, that to
            which the frame keeps orthonormal, and ten times that to which they close.
        on_fail: "raise" `NotConvergedError`, whose `.result` is the vectors, or "mark" rows that are not that exact by NaN.

    Cost: along geodesics that of `log` and of as many steps again; along one's own curves a Jacobian a node.

    References: do Carmo 1992, Riemannian Geometry, chapter 2.

    >>> from egregium.spaces import Euclidean
    >>> from egregium.geodesics import connect
    >>> plane = Euclidean(2)
    >>> transport(plane, connect(plane, torch.zeros(2), torch.ones(2)), torch.tensor([1.0, 2.0])).tolist()
    [1.0, 2.0]
    """
    require_on_fail(on_fail)
    (v,) = space.prepare(v, names=("v",))
    require_tolerance(rtol, v.dtype)
    if isinstance(space, ClosedForm) and isinstance(g, Geodesic):
        return space.transport(g(0.0), g(1.0), v)
    if isinstance(space, Composite):
        return _by_factors(space, g, v, rtol, on_fail)
    with torch.no_grad():
        if isinstance(g, Geodesic):
            carried, ok = _followed(require_immersed(space).economical(), g, v, rtol)
        else:
            carried, ok = _given(space, g, v, rtol)
    carried = torch.where(ok[:, None], carried, torch.nan).reshape(v.shape)
    if on_fail == "raise" and not bool(ok.all()):
        raise NotConvergedError(
            f"{int((~ok).sum())} of {len(ok)} transports are not known to {rtol} rad: give a larger rtol, curves with more "
            'nodes, or on_fail="mark" for NaN in these rows.',
            carried,
        )
    return carried


def _by_factors(space: Composite, g: Geodesic | Tensor, v: Tensor, rtol: float, on_fail: str) -> Tensor:
    parts, start = [], 0
    for factor, vectors in factored(space, v):
        place = slice(start, start + factor.width)
        part = g.columns(place) if isinstance(g, Geodesic) else g[..., place]
        parts.append(transport(factor, part, vectors, rtol=rtol, on_fail=on_fail))
        start = place.stop
    whole = torch.cat(parts, -1)
    return where_ok(~whole.isnan().any(-1), whole)


def _followed(space: ImmersedSpace, g: Geodesic, v: Tensor, rtol: float) -> tuple[Tensor, Tensor]:
    """Along geodesics that arrive to `rtol`, by their equation; the frame is made orthonormal at the end itself."""
    if g.length.shape != v.shape[:-1]:
        raise ShapeError(f"v must have shape {(*g.length.shape, v.shape[-1])}, a vector a curve; got {tuple(v.shape)}.")
    start, end, d = flat(g(0.0)), flat(g(1.0)), v.shape[-1]
    closed = close(space.immerse, start, end, flat(g.initial_velocity), reachable(CLOSER * rtol, v.dtype))
    shot = carry(space.immerse, start, closed.velocity, FINER * rtol)
    arrived = torch.isfinite(shot.end).all(-1)
    ends = Frames.along(space.immerse, torch.stack([end, torch.where(arrived[:, None], shot.end, end)], 1))
    one = torch.eye(d, dtype=v.dtype, device=v.device)
    turn, there = torch.where(arrived[:, None, None, None], ends.r @ shot.frames[:, -1, None], one).unbind(1)
    turn, error = orthogonal(turn), torch.linalg.vector_norm(there.mT @ there - one, dim=(1, 2))
    first = torch.linalg.solve(shot.frames[:, 0], flat(v)[..., None])
    return ends.vectors(0, (turn @ first)[..., 0]), closed.ok & arrived & (error <= d * rtol)


def _given(space: Space, nodes: Tensor, v: Tensor, rtol: float) -> tuple[Tensor, Tensor]:
    """Along curves that are known at these nodes alone."""
    expected = f"({', '.join(map(str, (*v.shape[:-1], 'n', v.shape[-1])))})"
    if nodes.shape[:-2] != v.shape[:-1] or nodes.shape[-1] != v.shape[-1] or (nodes.shape[-2] - 1) % COARSE:
        raise ShapeError(f"nodes must have shape {expected} with n - 1 a multiple of {COARSE}; got {tuple(nodes.shape)}.")
    (nodes,) = space.prepare(nodes, names=("nodes",))
    curves = nodes.reshape(-1, *nodes.shape[-2:])
    if isinstance(space, ClosedForm):
        carried, error = _in_steps(space, curves, flat(v))  # type: ignore[arg-type]
    else:
        carried, error = _carried(require_immersed(space).economical(), curves, flat(v))
    return carried, error <= rtol


def _strides(segments: int) -> list[int]:
    return [1 << k for k in range(segments.bit_length()) if segments % (COARSE << k) == 0]


def _in_steps(space: KnownSpace, nodes: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """As `_carried`, along the geodesics from node to node."""
    levels = []
    for stride in reversed(_strides(nodes.shape[1] - 1)):
        there = v
        for a, b in pairwise(nodes[:, ::stride].unbind(1)):
            there = space.transport(a, b, there)
        levels.append(there)
    carried, _ = extrapolate(levels)
    if len(levels) == 1:
        return carried, torch.full_like(v[:, 0], torch.inf)
    error = space.norm(nodes[:, -1], levels[-1] - levels[-2]) / space.norm(nodes[:, 0], v)
    return carried, error / 3


def _carried(space: ImmersedSpace, nodes: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """Vectors `(P, d)` at the end of curves through nodes `(P, n, d)`, and their error in radians `(P,)`."""
    frames, strides = Frames.along(space.immerse, nodes), _strides(nodes.shape[1] - 1)
    turn, error = extrapolate([frames.every(stride).turns[:, -1].flatten(1) for stride in reversed(strides)])
    turn = turn.unflatten(1, (v.shape[-1], v.shape[-1]))
    coefficients = (orthogonal(turn) @ frames.coefficients(0, v)[..., None])[..., 0]
    return frames.vectors(-1, coefficients), error
