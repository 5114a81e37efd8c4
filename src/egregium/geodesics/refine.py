"""From a coarse curve to a certified number: segments are doubled until length and upper bound agree to the tolerance."""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from egregium.geodesics.certificate import soft
from egregium.geodesics.curve import Curve
from egregium.geodesics.measure import end_momenta, extrapolate, polygon, rectify
from egregium.geodesics.problem import Problem
from egregium.geodesics.solvers.base import Solution, Solver, Termination
from egregium.geodesics.starts import TUNNELLED
from egregium.numerics import splines
from egregium.numerics.derivatives import jacobian
from egregium.status import Status

ROUGH = 1e-4  # tolerances from here on are met roughly, at fewer segments


@dataclass(frozen=True)
class Certified:
    """Refined curves of P pairs; the names are those of `Geodesic`, and whether each is `soft`."""

    length: Tensor
    energy: Tensor
    upper: Tensor
    status: Tensor
    segments: Tensor
    steps: Tensor
    initial_velocity: Tensor
    final_velocity: Tensor
    direction_error: Tensor
    soft: Tensor
    curve: Curve

    def updated(self, rows: Tensor, other: "Certified") -> "Certified":
        """With `rows` replaced by those of `other`."""
        keep = torch.ones_like(self.status, dtype=torch.bool).index_fill(0, rows, False).nonzero().flatten()
        return Certified.joined([self.at(keep), other], torch.cat([keep, rows]))

    def at(self, rows: Tensor) -> "Certified":
        """The results at `rows`."""
        return Certified(*(value[rows] for value in vars(self).values()))

    @staticmethod
    def joined(parts: "list[Certified]", order: Tensor) -> "Certified":
        """Parts whose rows, one after the other, are the rows `order` of the whole."""
        knots = max(part.curve.knots.shape[1] for part in parts)
        curves = [part.curve.padded(knots) for part in parts]
        back = order.argsort()
        curve = Curve(*(torch.cat(values)[back] for values in zip(*(vars(c).values() for c in curves), strict=True)))
        names = [name for name in vars(parts[0]) if name != "curve"]
        fields = {name: torch.cat([getattr(part, name) for part in parts])[back] for name in names}
        return Certified(**fields, curve=curve)


@dataclass(frozen=True)
class _Frames:
    """Orthonormal ambient frames of the tangent spaces at one end of each pair: `J = Q R`."""

    q: Tensor
    r: Tensor

    @staticmethod
    def at(problem: Problem, z: Tensor) -> "_Frames":
        return _Frames(*torch.linalg.qr(jacobian(problem.immerse, z)))

    def coefficients(self, rows: Tensor, tangent: Tensor) -> Tensor:
        return torch.einsum("pad,pa->pd", self.q[rows], tangent).double()

    def latent(self, rows: Tensor, coefficients: Tensor, length: Tensor) -> Tensor:
        unit = coefficients / coefficients.norm(dim=-1, keepdim=True) * length[:, None]
        return torch.linalg.solve_triangular(self.r[rows].double(), unit[..., None], upper=True)[..., 0].to(self.r.dtype)


class _Series:
    """Quantities of all pairs at successive numbers of segments, NaN where a pair was not run any more."""

    def __init__(self) -> None:
        self.levels: list[dict[str, Tensor]] = []

    def add(self, pairs: int, rows: Tensor, **values: Tensor) -> None:
        level = {}
        for name, value in values.items():
            level[name] = value.new_full((pairs, *value.shape[1:]), torch.nan).index_copy(0, rows, value)
        self.levels.append(level)

    def limit(self, name: str, rows: Tensor) -> tuple[Tensor, Tensor]:
        return extrapolate([level[name][rows] for level in self.levels])

    def direction(self, name: str, rows: Tensor, roughly: bool) -> tuple[Tensor, Tensor]:
        """Richardson's limit of a velocity and its error, infinite for a single level.

        Of two levels the change bounds it; `roughly`, a tenth of that: a fiftieth was common, and less than a tenth in 90 %
        of trained and random decoders.
        """
        velocity, error = self.limit(name, rows)
        return velocity, 0.1 * error if roughly and len(self.levels) == 2 else error

    def length(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Richardson's limit of the lengths and its error, infinite for a single level."""
        length, error = self.limit("length", rows)
        if len(self.levels) == 2:
            defect = (self.levels[0]["length"][rows] - self.levels[1]["length"][rows]).abs() / (3 * length)
            error = 100 * defect**2 * length  # measured: up to 190 on folded decoders, 10 commonly
        return length, error


def refine(
    problem: Problem,
    coarse: Solution,
    solver: Solver,
    plan: list[int],
    termination: Termination,
    rtol: float,
    doubting: bool = False,
) -> Certified:
    """Double the segments of the curves `coarse` through `plan` until each length is known to `rtol`.

    A row is CONVERGED when the solver met its first-order tolerance and one of two holds. Richardson's limits are settled, of
    the length to `rtol` and of the directions at the ends, whose square the length errs by, to `sqrt(rtol) / 5` or `50 rtol`,
    and the length of an admissible curve, by rectification, agrees. Or that curve and the least discrete energy enclose
    Richardson's limit to half of `rtol`. The root of that energy is no longer than any admissible curve nearby: where it is,
    there is a shorter geodesic, and the row goes on. Where polygon and curve are far apart, the polygon has tunnelled through
    a fold of the decoder: STALLED at once, to be started again with shorter segments. Only when `doubting` are curves found
    to be soft.
    """
    rows = torch.arange(len(problem), device=problem.z0.device)
    frames = _Frames.at(problem, problem.z0), _Frames.at(problem, problem.z1)
    series, solution = _Series(), coarse
    parts, order = [], []
    for depth, _ in enumerate(plan):
        if depth:
            finer = splines.doubled(problem[rows].nodes(solution.vertices))[:, 1:-1]
            model = None if solution.model is None else solution.model.prolonged()
            found = solver.minimise(problem[rows], finer, termination, model)
            solution = replace(found, steps=found.steps + solution.steps)
        start, end = end_momenta(solution.x)
        series.add(
            len(problem), rows, length=polygon(solution.x), energy=solution.energy,
            start=frames[0].coefficients(rows, start), end=frames[1].coefficients(rows, end),
        )  # fmt: skip
        part, leaves = _certify(problem, rows, solution, series, frames, rtol, doubting, last=depth + 1 == len(plan))
        if part is not None:
            parts.append(part)
            order.append(rows[leaves])
        rows, solution = rows[~leaves], solution[~leaves]
        if not len(rows):
            break
    return Certified.joined(parts, torch.cat(order))


def _certify(
    problem: Problem,
    rows: Tensor,
    solution: Solution,
    series: _Series,
    frames: tuple[_Frames, _Frames],
    rtol: float,
    doubting: bool,
    last: bool,
) -> tuple[Certified | None, Tensor]:
    """Measure the curves that need no further level, and say which they are."""
    length, error = series.length(rows)
    failed = solution.status != Status.CONVERGED
    promising = (error <= rtol * length) | (length - solution.energy.sqrt() <= rtol * length) | (error > TUNNELLED * length)
    looked = failed | (promising & torch.isfinite(error)) | last
    if not looked.any():
        return None, looked
    here, rows, noise = solution[looked], rows[looked], _noise(solution[looked])
    length, error = length[looked], error[looked]
    curve = rectify(problem[rows], here.vertices, here.x)
    gap = (curve.length - length).abs() + curve.error
    velocities, wrong = _directions(rows, series, frames, length, rtol >= ROUGH)
    directed = wrong <= min(rtol**0.5 / 5, 50 * rtol)
    agrees = (torch.maximum(error, 3 * gap) + noise * length <= rtol * length) & directed
    lower, upper = here.energy.sqrt(), torch.fmax(curve.upper, length) * (1 + noise)
    strays = (length - length.clamp(lower, curve.upper)).abs()
    encloses = (2 * (curve.upper - lower) + strays + noise * length <= rtol * length) & (directed | (rtol >= ROUGH))
    sound = (agrees | encloses) & (lower <= curve.upper * (1 + noise))
    leaves = failed[looked] | sound | (gap > TUNNELLED * length) | last

    length = torch.where(agrees, length, length.clamp(lower, upper.nan_to_num(torch.inf)))
    status = torch.where(sound | (here.status != Status.CONVERGED), here.status, int(Status.STALLED)).to(torch.int8)
    energy = torch.maximum(series.limit("energy", rows)[0], length**2)
    segments = torch.full_like(here.steps, here.x.shape[1] - 1)
    sound, doubted = sound & ~failed[looked], torch.zeros_like(sound)
    if doubting and sound.any():
        doubted[sound] = soft(problem[rows[sound]], here[sound])
    found = Certified(length, energy, upper, status, segments, here.steps, *velocities, wrong, doubted, curve.curve)
    return found.at(leaves), looked.index_put((looked.nonzero().flatten(),), leaves)


def _directions(
    rows: Tensor, series: _Series, frames: tuple[_Frames, _Frames], length: Tensor, roughly: bool
) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Velocities at both ends `(P, d)`, and the larger error of the two unit directions in radians."""
    velocities, wrong = [], torch.zeros_like(length)
    for frame, name in zip(frames, ("start", "end"), strict=True):
        coefficients, error = series.direction(name, rows, roughly)
        velocities.append(frame.latent(rows, coefficients, length))
        wrong = torch.maximum(wrong, error / length)
    return (velocities[0], velocities[1]), wrong


def _noise(solution: Solution) -> Tensor:
    """What rounding leaves uncertain of lengths, relatively: of first order at the ends alone, since errors of inner nodes
    lengthen one chord by what they shorten the next, and of second order everywhere, since they make curves zigzag.
    """
    nodes = torch.linalg.vector_norm(solution.x, dim=-1).double().amax(-1)
    rounding = 4 * torch.finfo(solution.x.dtype).eps
    node = rounding * nodes / solution.energy.sqrt()
    return rounding + node + 0.5 * (node * (solution.x.shape[1] - 1)) ** 2
