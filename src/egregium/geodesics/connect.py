"""Joining two points by a geodesic: starts, solver, refinement and certificate put together."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError, ToleranceError
from egregium.geodesics.certificate import degenerate
from egregium.geodesics.closed import closed_form
from egregium.geodesics.differentiable import with_gradients
from egregium.geodesics.geodesic import Geodesic
from egregium.geodesics.problem import Problem
from egregium.geodesics.refine import ROUGH, Certified, refine
from egregium.geodesics.search import Found, folded, search
from egregium.geodesics.solvers import GaussNewton, Solver, Termination
from egregium.geodesics.starts import RESOLVED, TUNNELLED, Candidates, along_chord, followed, ranked
from egregium.geodesics.support import SupportGraph, out_of_support, routes
from egregium.numerics.derivatives import row_chunks
from egregium.protocols import ClosedForm, ImmersedSpace
from egregium.spaces.points import flat
from egregium.status import Status, describe

OnFail = Literal["raise", "mark"]
Starts = Tensor | Sequence[Tensor] | Geodesic | None
FINER = 4
AMPLE = 64
FINEST = 4096
FINEST_ROUGH = 512
BUDGET = 1 << 27


@dataclass(frozen=True)
class _Options:
    solver: Solver
    rtol: float
    support: SupportGraph | None
    max_steps: int

    def plan(self, coarse: int) -> list[int]:
        """Numbers of segments from `coarse` to fine."""
        if self.solver.segments:
            return list(self.solver.segments)
        return [coarse << k for k in range((self.finest // coarse).bit_length())]

    @property
    def finest(self) -> int:
        """Most segments that are worth their cost at this tolerance."""
        return FINEST if self.rtol < ROUGH else FINEST_ROUGH

    @property
    def thorough(self) -> bool:
        """Whether folded decoders are searched from every start: what minima differ by then matters, and costs little."""
        return self.rtol < ROUGH

    def more(self, segments: int) -> int:
        """With how many segments to begin again."""
        return max(FINER * segments, AMPLE if self.thorough else 0)

    def may_continue(self, segments: int) -> bool:
        """Whether pairs that began with so many segments may begin again with more."""
        return not self.solver.segments and 2 * self.more(segments) <= self.finest

    def termination(self, coarse: bool) -> Termination:
        """Lengths err by the square of the metric step, directions by the step itself, magnified at the ends."""
        return Termination(0.2 * self.rtol**0.5 if coarse else self.rtol, self.max_steps)


def connect(
    space: ImmersedSpace,
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
    pairs do not influence each other. Explicit spaces use their closed forms.

    Args:
        z0, z1: latent points `(*batch, d)`, equal shapes, finite, float32 or float64.
        solver: one of `eg.solvers`; default `GaussNewton()`.
        rtol: relative error of the length, and of the first-order condition, that CONVERGED promises; at least 50 eps.
            Below 1e-4 folded decoders, where other minima are near, are searched for the shortest from many starts,
            unless `starts` or the solver's segments are given.
        support: a `SupportGraph` of the data: gives further starts, and DISCONNECTED or OUT_OF_SUPPORT where it says so.
        starts: own starting curves: latent nodes `(*batch, n, d)` at uniform t, a sequence of such, or a `Geodesic`; all are
            tried, followed with the segments that they have (32 to 256).
        max_steps: solver steps at each number of segments; default the solver's.
        on_fail: "raise" `NotConvergedError`, whose `.result` is the result, or "mark" in `status`.
        progress: print how many pairs are done, to standard error.
        differentiable: lengths carry gradients to the decoder's weights too (they always do to `z0`, `z1`).

    Cost: 450 to 750 decoder calls a pair at the default `rtol`, as measured on trained MNIST decoders, and several thousand
    where latent axes have collapsed (`make bench`).

    Raises: `ShapeError`, `TensorError`, `DecoderError`, `ToleranceError`, `OptionError`, `NotConvergedError`.

    References: Syrota et al. 2025 (arXiv 2502.13757); Shao, Kumar, Fletcher 2018 (arXiv 1711.08014).

    >>> import torch
    >>> from egregium.spaces import Pullback
    >>> roll = Pullback(lambda z: torch.stack([z[:, 0].cos(), z[:, 0].sin(), z[:, 1]], -1), dim=2)
    >>> g = connect(roll, torch.zeros(2).double(), torch.tensor([2.0, 1.0]).double(), rtol=1e-8)
    >>> round(g.length.item(), 7), g.status.item()
    (2.236068, 0)
    """
    if on_fail not in ("raise", "mark"):
        raise OptionError(f'on_fail must be "raise" or "mark"; got {on_fail!r}.')
    if not hasattr(space, "prepare"):
        raise OptionError(f"connect measures in a space, such as eg.Pullback(decoder); got {type(space).__name__}: wrap it.")
    start, end = space.prepare(z0, z1)
    options = _options(solver, rtol, support, max_steps, start.dtype)
    if isinstance(space, ClosedForm):
        result = closed_form(space, start, end)
    else:
        with torch.no_grad():
            result = _connected(space, start.detach(), end.detach(), options, starts, progress)
    if on_fail == "raise" and not bool(result.ok.all()):
        raise NotConvergedError(
            f"{int((~result.ok).sum())} of {result.ok.numel()} geodesics did not converge: {describe(result.status)}. "
            'Use on_fail="mark" to keep them with their status, or change rtol, max_steps, starts or support.',
            result,
        )
    return with_gradients(space, result, start, end, differentiable)


def _options(
    solver: Solver | None, rtol: float, support: SupportGraph | None, max_steps: int | None, dtype: torch.dtype
) -> _Options:
    if not isinstance(rtol, (int, float)):
        raise OptionError(f"rtol must be a number such as 1e-3; got {rtol!r}.")
    if solver is not None and not hasattr(solver, "minimise"):
        raise OptionError(f"solver must be an object of eg.solvers, such as eg.solvers.GaussNewton(); got {solver!r}.")
    smallest = 50 * torch.finfo(dtype).eps
    if not smallest <= rtol < 1:
        raise ToleranceError(
            f"rtol must lie in [{smallest:.1e}, 1) for {dtype}; got {rtol}. For less, convert decoder and points to float64."
        )
    if max_steps is not None and max_steps < 1:
        raise OptionError(f"max_steps must be at least 1; got {max_steps}.")
    if support is not None and not isinstance(support, SupportGraph):
        raise OptionError(f"support must be a SupportGraph (see eg.neighbors); got {type(support).__name__}.")
    solver = GaussNewton() if solver is None else solver
    segments = solver.segments
    if segments and (segments[0] < 2 or any(b != 2 * a for a, b in pairwise(segments))):
        raise OptionError(f"a solver's segments must start at 2 or more, each twice the one before; got {segments}.")
    return _Options(solver, rtol, support, max_steps or solver.max_steps)


def _connected(space: ImmersedSpace, start: Tensor, end: Tensor, options: _Options, starts: Starts, progress: bool) -> Geodesic:
    batch, z0, z1, decode = start.shape[:-1], flat(start), flat(end), space.decode
    space = space.economical()
    swap = _lexicographically_greater(z0, z1)
    first, last = torch.where(swap[:, None], z1, z0), torch.where(swap[:, None], z0, z1)
    curves = [_oriented(curve.to(z0), swap, batch, z0.shape[-1]) for curve in _as_curves(starts)]
    fewest = _fewest_segments(starts, curves, len(z0)).to(z0.device)
    width = space.immerse(z0[:1]).shape[-1]
    results = []
    for rows in row_chunks(len(z0), width * 16 * (z0.shape[-1] + 4), BUDGET):
        problem = Problem.between(space, first[rows], last[rows])
        users = followed([curve[rows] for curve in curves], fewest[rows], options.solver.segments) if curves else None
        results.append(_persistent(space, problem, options, users))
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


@dataclass(frozen=True)
class _Solved:
    """One chunk of pairs in the order of its ends."""

    lower: Tensor
    second_best: Tensor
    certified: Certified

    def __getitem__(self, keep: Tensor) -> "_Solved":
        rows = keep.nonzero().flatten()
        return _Solved(self.lower[rows], self.second_best[rows], self.certified.at(rows))

    def updated(self, rows: Tensor, other: "_Solved") -> "_Solved":
        """With `rows` replaced by those of `other`."""
        return _Solved(
            self.lower.index_copy(0, rows, other.lower),
            self.second_best.index_copy(0, rows, other.second_best),
            self.certified.updated(rows, other.certified),
        )

    @property
    def converged(self) -> Tensor:
        return self.certified.status == Status.CONVERGED

    @property
    def failed(self) -> Tensor:
        """Curves that tunnelled or are saddles, `(P,)`: they may be followed better with more segments."""
        status, gap = self.certified.status, self.certified.upper > (1 + TUNNELLED) * self.certified.length
        return (status == Status.STALLED) | (status == Status.SADDLE) | gap

    @staticmethod
    def joined(parts: "list[_Solved]", order: Tensor) -> "_Solved":
        """Parts whose rows, one after the other, are the rows `order` of the whole."""
        back = order.argsort()
        return _Solved(
            torch.cat([part.lower for part in parts])[back],
            torch.cat([part.second_best for part in parts])[back],
            Certified.joined([part.certified for part in parts], order),
        )


def _persistent(space: ImmersedSpace, problem: Problem, options: _Options, users: Candidates | None) -> _Solved:
    """Solve each pair with the segments that its starts need; where these prove too few, with more and from every start."""
    starts, disconnected = _starts(space, problem, options, users)
    segments, every = starts.segments.clone(), torch.full_like(disconnected, users is not None)
    left = torch.ones_like(disconnected)
    parts, order = [], []
    while left.any():
        fewest = int(segments[left].min())
        rows = (left & (segments == fewest)).nonzero().flatten()
        rows = rows[every[rows] == every[rows[0]]]
        attempt = _Attempt(space, options, fewest, bool(every[rows[0]]))
        solved, again = attempt.solve(problem[rows], starts[rows], disconnected[rows])
        if solved is not None:
            parts.append(solved)
            order.append(rows[~again])
        left[rows[~again]] = False
        segments[rows[again]], every[rows[again]] = options.more(fewest), True
    return _Solved.joined(parts, torch.cat(order))


def _starts(space: ImmersedSpace, problem: Problem, options: _Options, users: Candidates | None) -> tuple[Candidates, Tensor]:
    """Curves to start from, and which pairs the support does not connect."""
    disconnected = torch.zeros(len(problem), dtype=torch.bool, device=problem.z0.device)
    along = None
    if options.support is not None:
        along = routes(space, problem, options.support, RESOLVED)
        disconnected = ~along.connected
    extra = [] if along is None else [problem.nodes(along.vertices)]
    if users is not None:
        return users.and_then(extra), disconnected
    own = [along_chord(problem), problem.nodes(problem.straight(RESOLVED)), *extra]
    candidates = ranked(problem, own, options.solver.segments)
    return candidates if options.thorough else replace(candidates, longest=None), disconnected


@dataclass(frozen=True)
class _Attempt:
    """Solving pairs from so many `segments`, from the first start and where in doubt the others, or from `every` one."""

    space: ImmersedSpace
    options: _Options
    segments: int
    every: bool

    @property
    def may_continue(self) -> bool:
        return self.options.may_continue(self.segments)

    def solve(self, problem: Problem, starts: Candidates, disconnected: Tensor) -> tuple[_Solved | None, Tensor]:
        """What was solved, and which pairs `(P,)` were left for more segments and every start.

        These are curves that tunnelled or are saddles, and folded decoders where the search is to be thorough.
        """
        options = self.options
        found = search(problem, starts, self.segments, options.solver, options.termination(coarse=True), self.every)
        doubting = self.may_continue and not self.every
        again = folded(starts, found) & (doubting and options.thorough)
        rows = (~again).nonzero().flatten()
        if not len(rows):
            return None, again
        problem, starts, disconnected = problem[rows], starts[rows], disconnected[rows]
        fine, plan = options.termination(coarse=False), options.plan(self.segments)
        certified = refine(problem, found.best[rows], options.solver, plan, fine, options.rtol, doubting)
        solved = _judged(self.space, problem, options, found[rows], certified, disconnected)
        if doubting:
            solved = self._compared(solved, problem, starts, disconnected)
        failed = solved.failed & self.may_continue
        return solved[~failed], again.index_copy(0, rows, failed)

    def _compared(self, solved: _Solved, problem: Problem, starts: Candidates, disconnected: Tensor) -> _Solved:
        """With shorter curves instead of soft minima, where another attempt finds some."""
        rows = (solved.certified.soft & solved.converged).nonzero().flatten()
        if not len(rows):
            return solved
        more = replace(self, segments=self.options.more(self.segments), every=True)
        other, failed = more.solve(problem[rows], starts[rows], disconnected[rows])
        if other is None:
            return solved
        rows = rows[~failed]
        wins = other.converged & (other.certified.length < solved.certified.length[rows])
        return solved.updated(rows[wins], other[wins])


def _judged(
    space: ImmersedSpace, problem: Problem, options: _Options, found: Found, certified: Certified, disconnected: Tensor
) -> _Solved:
    """Statuses in order of precedence, bounds, and the trivial geodesics between equal points."""
    status = certified.status.clone()

    def mark(rows: Tensor, code: Status) -> None:
        status[rows] = status[rows].clamp_min(int(code))

    mark(found.saddle & (status == Status.CONVERGED), Status.SADDLE)
    if options.support is not None:
        mark(out_of_support(space, found.best.x, options.support), Status.OUT_OF_SUPPORT)
    mark(disconnected, Status.DISCONNECTED)
    mark(degenerate(problem, found.best.vertices), Status.DEGENERATE)
    mark(~torch.isfinite(certified.length), Status.NONFINITE)
    equal = (problem.z0 == problem.z1).all(-1)
    status[equal & torch.isfinite(problem.x0).all(-1)] = Status.CONVERGED
    zero = {
        name: torch.where(equal, 0.0, getattr(certified, name)) for name in ("length", "energy", "upper", "direction_error")
    }
    still = (
        torch.where(equal[:, None], 0.0, certified.initial_velocity),
        torch.where(equal[:, None], 0.0, certified.final_velocity),
    )
    lower = torch.minimum(problem.chord * (1 - 8 * torch.finfo(problem.z0.dtype).eps), zero["length"])
    certified = replace(certified, **zero, status=status, initial_velocity=still[0], final_velocity=still[1])
    return _Solved(torch.where(equal, 0.0, lower), found.second_best, certified)


def _assembled(decode: Callable[[Tensor], Tensor], results: list[_Solved], swap: Tensor, batch: torch.Size) -> Geodesic:
    whole = Certified.joined([one.certified for one in results], torch.arange(len(swap), device=swap.device))
    dtype = whole.curve.values.dtype

    def shaped(value: Tensor) -> Tensor:
        value = value.to(dtype) if value.is_floating_point() else value
        return value.reshape((*batch, *value.shape[1:]))

    start = torch.where(swap[:, None], -whole.final_velocity, whole.initial_velocity)
    end = torch.where(swap[:, None], -whole.initial_velocity, whole.final_velocity)
    return Geodesic(
        length=shaped(whole.length), energy=shaped(whole.energy), upper=shaped(whole.upper),
        lower=shaped(torch.cat([one.lower for one in results])),
        second_best=shaped(torch.cat([one.second_best for one in results])),
        status=shaped(whole.status), segments=shaped(whole.segments), steps=shaped(whole.steps),
        initial_velocity=shaped(start), final_velocity=shaped(end), direction_error=shaped(whole.direction_error),
        curve=whole.curve.where(~swap, whole.curve.reversed()), decoder=decode,
    )  # fmt: skip
