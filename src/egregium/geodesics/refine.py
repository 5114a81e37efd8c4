"""From a coarse curve to a certified number: segments are doubled until length and upper bound agree to the tolerance."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.geodesics.curve import Curve
from egregium.geodesics.measure import end_momenta, extrapolate, polygon, quadrature
from egregium.geodesics.problem import Problem
from egregium.geodesics.search import TUNNELLED
from egregium.geodesics.solvers.base import Solution, Solver, Termination
from egregium.numerics import splines
from egregium.numerics.derivatives import jacobian
from egregium.status import Status


@dataclass(frozen=True)
class Certified:
    """Refined curves of P pairs; the names are those of `Geodesic`."""

    length: Tensor
    energy: Tensor
    upper: Tensor
    status: Tensor
    segments: Tensor
    steps: Tensor
    initial_velocity: Tensor
    final_velocity: Tensor
    direction_error: Tensor
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


def refine(
    problem: Problem, coarse: Solution, solver: Solver, plan: list[int], termination: Termination, rtol: float
) -> Certified:
    """Double the segments of the curves `coarse` through `plan` until each length is known to `rtol`.

    A row is CONVERGED when the solver met its first-order tolerance, Richardson's limit is settled to `rtol`, and the
    length of an admissible curve, by quadrature of its speed, agrees with it to `rtol`. Where the two are far apart the
    polygon has tunnelled through a fold of the decoder: STALLED at once, to be started again with shorter segments.
    """
    rows = torch.arange(len(problem), device=problem.z0.device)
    frames = _Frames.at(problem, problem.z0), _Frames.at(problem, problem.z1)
    series, solution = _Series(), coarse
    parts, order = [], []
    for depth, _ in enumerate(plan):
        if depth:
            finer = splines.doubled(problem[rows].nodes(solution.vertices))[:, 1:-1]
            found = solver.minimise(problem[rows], finer, termination)
            solution = Solution(found.vertices, found.x, found.energy, found.steps + solution.steps, found.status)
        start, end = end_momenta(solution.x)
        series.add(
            len(problem), rows, length=polygon(solution.x), energy=solution.energy,
            start=frames[0].coefficients(rows, start), end=frames[1].coefficients(rows, end),
        )  # fmt: skip
        part, leaves = _certify(problem, rows, solution, series, frames, rtol, last=depth + 1 == len(plan))
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
    last: bool,
) -> tuple[Certified | None, Tensor]:
    """Measure the curves that need no further level, and say which they are."""
    length, error = series.limit("length", rows)
    noise = _noise(solution)
    if len(series.levels) == 2:
        defect = (series.levels[0]["length"][rows] - series.levels[1]["length"][rows]).abs() / (3 * length)
        error = 200 * defect**2 * length  # measured: up to 250 on folded decoders, 30 to 60 commonly
    failed = solution.status != Status.CONVERGED
    settled = (error + noise * length <= rtol * length) & (len(series.levels) > 1)
    candidates = failed | settled | last | (len(series.levels) > 1)
    if not candidates.any():
        return None, candidates
    curve = quadrature(problem[rows[candidates]], solution.vertices[candidates])
    gap = torch.full_like(length, torch.inf)
    gap[candidates] = (curve.length - length[candidates]).abs() + curve.error
    agrees = (3 * gap + noise * length <= rtol * length) & (settled | torch.tensor(len(series.levels) == 1))
    tunnelled = (gap > TUNNELLED * length) & (len(series.levels) > 1)
    leaves = failed | agrees | last | tunnelled

    chosen, inner = rows[leaves], leaves[candidates]
    status = solution.status[leaves].clone()
    status[(status == Status.CONVERGED) & ~agrees[leaves]] = Status.STALLED
    length = length[leaves]
    upper = torch.fmax(curve.length[inner] + curve.error[inner], length) * (1 + noise[leaves])
    energy = torch.maximum(series.limit("energy", rows[leaves])[0], length**2)
    velocities, wrong = [], torch.zeros_like(length)
    for frame, name in zip(frames, ("start", "end"), strict=True):
        coefficients, moved = series.limit(name, chosen)
        velocities.append(frame.latent(chosen, coefficients, length))
        wrong = torch.maximum(wrong, moved / length)
    segments = torch.full_like(solution.steps[leaves], solution.x.shape[1] - 1)
    found = Certified(
        length, energy, upper, status, segments, solution.steps[leaves], velocities[0], velocities[1], wrong, curve.curve[inner]
    )
    return found, leaves


def _noise(solution: Solution) -> Tensor:
    nodes = torch.linalg.vector_norm(solution.x, dim=-1, dtype=torch.float64).amax(-1)
    segments = solution.x.shape[1] - 1
    return 4 * torch.finfo(solution.x.dtype).eps * (1 + segments**0.5 * nodes / solution.energy.sqrt())
