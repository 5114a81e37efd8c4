"""Joining two points by a geodesic: starts, solver, refinement and certificate put together."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError
from egregium.geodesics.attempts import Solved, solve
from egregium.geodesics.closed import by_factors, closed_form
from egregium.geodesics.differentiable import with_gradients
from egregium.geodesics.geodesic import Geodesic, shorter
from egregium.geodesics.metric_table import MetricTable
from egregium.geodesics.options import ROUGH, Options, require_immersed, require_on_fail, require_space
from egregium.geodesics.problem import Problem
from egregium.geodesics.rays import OnBase
from egregium.geodesics.solvers import Solver
from egregium.geodesics.starts import followed
from egregium.geodesics.support import SupportGraph
from egregium.numerics.derivatives import row_chunks
from egregium.protocols import ClosedForm, Composite, ImmersedSpace, Space
from egregium.spaces.points import flat
from egregium.status import describe

OnFail = Literal["raise", "mark"]
Starts = Tensor | Sequence[Tensor] | Geodesic | None
BUDGET = 1 << 27


def connect(
    space: Space,
    z0: Tensor,
    z1: Tensor,
    *,
    solver: Solver | None = None,
    rtol: float = 1e-3,
    support: SupportGraph | None = None,
    starts: Starts = None,
    max_steps: int | None = None,
    on_fail: OnFail = "raise",
    progress: bool = False,
    differentiable: bool = False,
) -> Geodesic:
    r"""Geodesics from `z0` to `z1`: local minima of the energy `int |c'(t)|^2 dt`, the best over several starts.

    Length, energy, bounds and status are invariant under isometries, hence under reparametrisation of the latent space;
    pairs do not influence each other. Explicit spaces use their closed forms. CONVERGED is a local geodesic: on a folded
    surface a shorter one may exist, and `support=eg.neighbors(space, z)` with codes z of data tries routes along the data too.
    In two latent dimensions the metric is tabulated where curves come by, and ways around hills are looked for on it: against
    an eikonal solver none of 490 curves was more than 0.5 % too long, beside a thorough search 2 of 1,480, strongly folded.

    Args:
        z0, z1: latent points `(*batch, d)`, equal shapes, finite, float32 or float64.
        solver: one of `eg.solvers`; by default chosen from d, see docs/choosing-a-solver.md.
        rtol: relative error of the length, and of the first-order condition, that CONVERGED promises; at least 50 eps. Below
            1e-4 the shortest of several minima is searched from many starts, unless `starts` or the solver's segments are
            given. Where d is 24 or more: from two, and first order is held to `sqrt(rtol) / 2` from 1e-4 on, as lengths need.
        support: a `SupportGraph` of the data: gives further starts, and DISCONNECTED or OUT_OF_SUPPORT where it says so.
        starts: own starting curves: latent nodes `(*batch, n, d)` at uniform t, a sequence of such, or a `Geodesic`; all are
            tried, followed with the segments that they have (32 to 256).
        max_steps: solver steps at each number of segments; default the solver's.
        on_fail: "raise" `NotConvergedError`, whose `.result` is the result, or "mark" in `status`.
        progress: print how many pairs are done, to standard error.
        differentiable: lengths carry gradients to the decoder's weights too (they always do to `z0`, `z1`).

    Cost: some 450 decoder calls a pair on a trained MNIST decoder with d = 8, several thousand where latent axes have
    collapsed; with d = 2 some 20,000 to 30,000 for all pairs together and 20 to 70 a pair (`make bench`).

    Raises: `ShapeError`, `TensorError`, `DecoderError`, `ToleranceError`, `OptionError`, `NotConvergedError`.

    References: Syrota et al. 2025 (arXiv 2502.13757); Shao, Kumar, Fletcher 2018 (arXiv 1711.08014).

    >>> import torch
    >>> from egregium.spaces import Pullback
    >>> roll = Pullback(lambda z: torch.stack([z[:, 0].cos(), z[:, 0].sin(), z[:, 1]], -1), dim=2)
    >>> g = connect(roll, torch.zeros(2).double(), torch.tensor([2.0, 1.0]).double(), rtol=1e-8)
    >>> round(g.length.item(), 7), g.status.item()
    (2.236068, 0)
    """
    require_on_fail(on_fail)
    require_space(space)
    start, end = space.prepare(z0, z1)
    options = Options.checked(solver, rtol, support, max_steps, start.dtype)
    result = _joined(space, start, end, options, starts, progress, differentiable)
    if on_fail == "raise":
        require_converged(result)
    return result


def _joined(
    space: Space, start: Tensor, end: Tensor, options: Options, starts: Starts, progress: bool, differentiable: bool
) -> Geodesic:
    """By closed forms, factor by factor, or by solving."""
    if isinstance(space, ClosedForm):
        return closed_form(space, start, end)
    if isinstance(space, Composite):
        return _by_factors(space, start, end, options, starts, progress, differentiable)
    immersed = require_immersed(space)
    with torch.no_grad():
        result = _shortest_way(immersed, start.detach(), end.detach(), options, starts, progress)
    return with_gradients(immersed, result, start, end, differentiable)


def _by_factors(
    space: Composite, z0: Tensor, z1: Tensor, options: Options, starts: Starts, progress: bool, differentiable: bool
) -> Geodesic:
    if options.support is not None:
        raise OptionError("a support is of one space: join the factors of a product by themselves to give them theirs.")
    curves = [space.split(curve) for curve in _as_curves(starts)]
    chosen = {} if options.automatic else {"solver": options.solver, "max_steps": options.max_steps}

    def join(place: int, a: Tensor, b: Tensor) -> Geodesic:
        own = [curve[place] for curve in curves] or None
        return connect(
            space.factors[place], a, b, rtol=options.rtol, starts=own, on_fail="mark", progress=progress,
            differentiable=differentiable, **chosen,
        )  # fmt: skip

    return by_factors(space, z0, z1, join)


def require_converged(result: Geodesic) -> None:
    """Raise `NotConvergedError` where not all of the geodesics are CONVERGED."""
    failed = (~result.ok).flatten().nonzero().flatten().tolist()
    if failed:
        rows = f"row{'s' if len(failed) > 1 else ''} {', '.join(map(str, failed[:5]))}{', ...' if len(failed) > 5 else ''}"
        raise NotConvergedError(
            f"{len(failed)} of {result.ok.numel()} geodesics did not converge ({rows}): {describe(result.status)}. "
            'Use on_fail="mark" to keep them with their status, or change rtol, max_steps, starts or support. '
            "Decoders with kinks (ReLU) often stall: eg.check tells.",
            result,
        )


def _shortest_way(
    space: ImmersedSpace, start: Tensor, end: Tensor, options: Options, starts: Starts, progress: bool
) -> Geodesic:
    """The shortest of the ways round a base that closes up; where starts are given, the first says which way."""
    base = getattr(space, "base", None)
    if base is None:
        return _connected(space, start, end, options, starts, progress)
    curves = _as_curves(starts)
    ways = base.turns(curves[0][..., -1, :].to(end), end)[:1] if curves else base.turns(start, end)
    best = _connected(space, start, ways[0], options, starts, progress)
    for way in ways[1:]:
        best = shorter(best, _connected(space, start, way, options, starts, progress))
    return replace(best, curve=OnBase(best.curve, base)) if base.width != base.dim else best


def _connected(space: ImmersedSpace, start: Tensor, end: Tensor, options: Options, starts: Starts, progress: bool) -> Geodesic:
    batch, z0, z1, decode = start.shape[:-1], flat(start), flat(end), space.decode
    space = space.economical()
    swap = _lexicographically_greater(z0, z1)
    first, last = torch.where(swap[:, None], z1, z0), torch.where(swap[:, None], z0, z1)
    curves = [_oriented(curve.to(z0), swap, batch, z0.shape[-1]) for curve in _as_curves(starts)]
    fewest = _fewest_segments(starts, curves, len(z0)).to(z0.device)
    width = space.immerse(z0[:1]).shape[-1]
    table = MetricTable(space.immerse, max(options.rtol, ROUGH), z0) if options.automatic and z0.shape[-1] == 2 else None
    results = []
    for rows in row_chunks(len(z0), width * 16 * (z0.shape[-1] + 4), BUDGET):
        problem = Problem.between(space, first[rows], last[rows])
        users = followed([curve[rows] for curve in curves], fewest[rows]) if curves else None
        results.append(solve(space, problem, options, users, table))
        if progress:
            print(f"connect: {rows.stop} of {len(z0)} pairs", file=sys.stderr, flush=True)
    return _assembled(decode, results, swap, batch)


def _lexicographically_greater(a: Tensor, b: Tensor) -> Tensor:
    """Whether `a > b` in dictionary order of coordinates: an order of the ends that makes distances exactly symmetric."""
    differs = a != b
    first = differs.int().argmax(-1, keepdim=True)
    return (a.gather(-1, first) > b.gather(-1, first))[..., 0]


def _as_curves(starts: Starts) -> list[Tensor]:
    if starts is None:
        return []
    if isinstance(starts, Geodesic):
        return [starts.nodes]
    curves = [starts] if isinstance(starts, Tensor) else list(starts)
    if not all(isinstance(curve, Tensor) for curve in curves):
        raise OptionError(f"starts must be a Geodesic, a tensor of latent nodes or a sequence of such; got {starts!r}.")
    return curves


def _fewest_segments(starts: Starts, curves: list[Tensor], pairs: int) -> Tensor:
    """Segments `(P,)` that each user's curve is followed with, at least: those it was solved with, or those that it has."""
    if isinstance(starts, Geodesic):
        return starts.segments.reshape(-1)
    return torch.full((pairs,), max((curve.shape[1] - 1 for curve in curves), default=0))


def _oriented(curve: Tensor, swap: Tensor, batch: torch.Size, d: int) -> Tensor:
    if curve.ndim < 2 or curve.shape[:-2] != batch or curve.shape[-1] != d or curve.shape[-2] < 2:
        expected = ", ".join(str(size) for size in (*batch, "n", d))
        raise ShapeError(f"a start must have shape ({expected}) with n >= 2 nodes; got {tuple(curve.shape)}.")
    curve = curve.detach().reshape(-1, *curve.shape[-2:])
    return torch.where(swap[:, None, None], curve.flip(1), curve)


def _assembled(decode: Callable[[Tensor], Tensor], results: list[Solved], swap: Tensor, batch: torch.Size) -> Geodesic:
    solved = Solved.stack(results)
    whole = solved.certified
    dtype = whole.curve.values.dtype

    def shaped(value: Tensor) -> Tensor:
        value = value.to(dtype) if value.is_floating_point() else value
        return value.reshape((*batch, *value.shape[1:]))

    start = torch.where(swap[:, None], -whole.final_velocity, whole.initial_velocity)
    end = torch.where(swap[:, None], -whole.initial_velocity, whole.final_velocity)
    return Geodesic(
        length=shaped(whole.length), energy=shaped(whole.energy), upper=shaped(whole.upper),
        lower=shaped(solved.lower), second_best=shaped(solved.second_best),
        status=shaped(whole.status), segments=shaped(whole.segments), steps=shaped(whole.steps),
        initial_velocity=shaped(start), final_velocity=shaped(end), direction_error=shaped(whole.direction_error),
        curve=whole.curve.where(~swap, whole.curve.reversed()), decoder=decode,
    )  # fmt: skip
