"""The exponential and the logarithm: where one arrives, and which way and how far to go."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from egregium.errors import NotConvergedError
from egregium.geodesics.closing import close
from egregium.geodesics.connect import require_converged
from egregium.geodesics.options import require_immersed, require_on_fail, require_space, require_steps, require_tolerance
from egregium.geodesics.shooting import MAX_STEPS, shoot
from egregium.protocols import ClosedForm, Composite, Space
from egregium.relations.verbs import factored, joined, mixed, where_ok
from egregium.spaces.points import flat
from egregium.status import Status, describe

STRAYING = 5  # tolerances by which the length of a velocity may differ from the distance: beyond, it is another geodesic's
FINER = 0.1  # of the tolerance asked for: that of one step


def exp(
    space: Space, z: Tensor, v: Tensor, *, rtol: float = 1e-3, max_steps: int | None = None, on_fail: str = "raise"
) -> Tensor:
    r"""Where the geodesic from `z` with velocity `v` is at time 1, `(*batch, d)`.

    Solves `z'' = -J^+ f''(z', z')` by steps of order 8, every row with its own. The point is invariant: it transforms with z
    when v transforms by the Jacobian of a reparametrisation.

    Args:
        z, v: points and tangent vectors, both `(*batch, d)`.
        rtol: error of the decoded end relative to the length `|v|`, as the sum of what the steps err by; at least 50 eps.
        max_steps: steps allowed; default 1000.
        on_fail: "raise" `NotConvergedError`, whose `.result` is the points, or "mark" failed rows by NaN. Rows fail where the
            decoder is not finite on the way or the steps are used up.

    Cost: `12 (7 + 2 d)` decoder calls a step; 10 steps at the default `rtol`, 20 at 1e-6, on folded decoders.

    References: do Carmo 1992, Riemannian Geometry, chapter 3; the solver: Hairer, Norsett, Wanner 1993.

    >>> from egregium.spaces import Pullback
    >>> cylinder = Pullback(lambda z: torch.stack([z[:, 0].cos(), z[:, 0].sin(), z[:, 1]], -1), dim=2)
    >>> [round(x, 6) for x in exp(cylinder, torch.zeros(2).double(), torch.tensor([1.0, 2.0]).double()).tolist()]
    [1.0, 2.0]
    """
    z, v = space.prepare(z, v, names=("z", "v"))
    require_tolerance(rtol, z.dtype)
    require_steps(max_steps)
    require_on_fail(on_fail)
    if isinstance(space, ClosedForm):
        return space.exp(z, v)
    if isinstance(space, Composite):
        options = {"rtol": rtol, "max_steps": max_steps, "on_fail": on_fail}
        return _together([exp(factor, *part, **options) for factor, *part in factored(space, z, v)])
    space = require_immersed(space)
    with torch.no_grad():
        shot = shoot(space.economical().immerse, flat(z), flat(v), FINER * rtol, max_steps=max_steps or MAX_STEPS)
    end = shot.end.reshape(z.shape)
    if on_fail == "raise" and bool((shot.status != Status.CONVERGED).any()):
        raise NotConvergedError(
            f"{int((shot.status != Status.CONVERGED).sum())} of {len(shot.status)} geodesics did not arrive: "
            f'{describe(shot.status)}. Use on_fail="mark" for NaN in these rows, shorter v, a larger rtol or more max_steps.',
            end,
        )
    return end


def log(space: Space, z0: Tensor, z1: Tensor, **options: Any) -> Tensor:
    """Initial velocity at `z0` of the geodesic that reaches `z1` at time 1, `(*batch, d)`.

    A tangent vector whose metric norm is the distance; it transforms by the Jacobian of a reparametrisation. The direction that
    `connect` reads off ambient differences is refined by Newton's method until its geodesic, followed to the end, misses
    `z1` by at most `rtol` of its length in decoded distance: `exp(space, z0, log(space, z0, z1))` is `z1` to that accuracy.

    Takes the keywords of `connect` and raises what it raises; rows that do not close are STALLED, and so are those whose norm
    is then not the distance, as with decoders that have kinks. With `on_fail="mark"` failed rows are NaN.
    Cost: that of `connect`, one `exp` to check, and one with rough Jacobi fields a round, of which there are one or two.

    References: do Carmo 1992, Riemannian Geometry, chapter 3.

    >>> from egregium.spaces import Euclidean
    >>> log(Euclidean(2), torch.tensor([1.0, 1.0]), torch.tensor([3.0, 4.0])).tolist()
    [2.0, 3.0]
    """
    if mixed(space):
        require_space(space)
        z0, z1 = space.prepare(z0, z1)  # type: ignore[attr-defined]
        return _together([log(factor, *part, **options) for factor, *part in factored(space, z0, z1)])
    g = joined(space, z0, z1, options)
    if isinstance(space, ClosedForm):
        return where_ok(g.ok, g.initial_velocity)
    space = require_immersed(space)
    rtol = options.get("rtol", 1e-3)
    start, end = space.prepare(z0, z1)
    rows = g.ok.flatten().nonzero().flatten()
    velocity, status = flat(g.initial_velocity).clone(), g.status.flatten().clone()
    if len(rows):
        length = g.length.flatten()[rows]
        with torch.no_grad():
            found = close(space.economical().immerse, flat(start)[rows], flat(end)[rows], velocity[rows], rtol)
            strays = (space.norm(flat(start)[rows], found.velocity) - length).abs()
        sound = found.ok & (strays <= STRAYING * rtol * length)
        velocity[rows] = found.velocity
        status[rows] = torch.where(sound, int(Status.CONVERGED), int(Status.STALLED)).to(status)
    g = replace(g, initial_velocity=velocity.reshape(start.shape), status=status.reshape(g.status.shape))
    if options.get("on_fail", "raise") == "raise":
        require_converged(g)
    return where_ok(g.ok, g.initial_velocity)


def _together(parts: list[Tensor]) -> Tensor:
    """Coordinates of the factors side by side; rows in which one factor failed are NaN."""
    whole = torch.cat(parts, -1)
    return where_ok(~whole.isnan().any(-1), whole)
