"""Starting curves, and how many segments it takes to follow them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from egregium.geodesics.measure import polygon
from egregium.geodesics.problem import Problem
from egregium.numerics.derivatives import jacobian, vjp
from egregium.numerics.splines import doubled, resampled

WALK = 8
DAMPING = 1e-2
RESOLVED = 32
CLOSEST = 256
TUNNELLED = 0.2
FOLDED = 0.03
BEND = 0.4


@dataclass(frozen=True)
class Candidates:
    """Curves `(P, n, d)` to start from, the best first, and the fewest `segments` `(P,)` that see their folds.

    A polygon of too few segments tunnels: its vertices lie on the decoded surface, its chords cut through the folds. The
    decoded length `(P,)` of the `longest` tells how folded; None for a user's curves, which are all that is to be tried.
    """

    curves: tuple[Tensor, ...]
    segments: Tensor
    longest: Tensor | None = None

    def __getitem__(self, rows: Tensor) -> "Candidates":
        longest = None if self.longest is None else self.longest[rows]
        return Candidates(tuple(curve[rows] for curve in self.curves), self.segments[rows], longest)

    def and_then(self, curves: Sequence[Tensor]) -> "Candidates":
        """With `curves` tried after these."""
        return replace(self, curves=(*self.curves, *curves))

    def followed_with(self, segments: int) -> "Candidates":
        """With so many segments, whatever it takes."""
        return replace(self, segments=torch.full_like(self.segments, segments))

    def vertices(self, segments: int) -> list[Tensor]:
        """Free vertices `(P, segments - 1, d)` of every curve."""
        return [_sampled(curve, segments)[:, 1:-1] for curve in self.curves]


def ranked(problem: Problem, curves: Sequence[Tensor]) -> Candidates:
    """The library's own curves `(P, RESOLVED + 1, d)`, the shorter ones first, with the resolution that they need.

    Cost: 31 decoder calls a curve.
    """
    lengths, paced = [], []
    for z in curves:
        inner = problem.immerse(z[:, 1:-1].flatten(0, 1)).unflatten(0, (len(z), -1))
        z, x = _evenly_paced(z, torch.cat([problem.x0[:, None], inner, problem.x1[:, None]], 1))
        paced.append(z)
        lengths.append(torch.stack([polygon(x[:, :: RESOLVED // n]) for n in (8, 16, RESOLVED)], -1))
    measured, stacked = torch.stack(lengths), torch.stack(paced)
    order = measured[..., -1].nan_to_num(torch.inf).argsort(dim=0, stable=True)
    best = measured.gather(0, order[..., None].expand_as(measured))[0]
    tunnels = best[:, -1:] > (1 + FOLDED) * best[:, :-1]
    needed = torch.where(tunnels[:, 1], RESOLVED, torch.where(tunnels[:, 0], 16, 8))
    sorted_curves = stacked.gather(0, order[..., None, None].expand_as(stacked))
    return Candidates(tuple(sorted_curves), needed, measured[..., -1].nan_to_num(torch.inf).amax(0))


def followed(curves: Sequence[Tensor], fewest: Tensor) -> Candidates:
    """A user's curves `(P, n, d)` in his order, followed so closely that each leads to its own minimum.

    With the `fewest` segments `(P,)` that he asks for, or the next power of two, from RESOLVED to CLOSEST.
    """
    finest = int(_power_of_two(torch.tensor(max(curve.shape[1] - 1 for curve in curves))))
    return Candidates(tuple(given(curve, finest) for curve in curves), _power_of_two(fewest))


def _power_of_two(segments: Tensor) -> Tensor:
    return (2 ** segments.double().log2().ceil()).long().clamp(RESOLVED, CLOSEST)


def _evenly_paced(z: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    """The same polygons with nodes at equal distances along the decoded ones, as geodesics have them."""
    reached = F.pad(torch.linalg.vector_norm(x.diff(dim=1), dim=-1).double().cumsum(-1), (1, 0))
    t = (reached / reached[:, -1:]).to(z)
    t = torch.where(torch.isfinite(t), t, torch.linspace(0, 1, z.shape[1], dtype=t.dtype, device=t.device))
    return resampled(z, t, RESOLVED), resampled(x, t, RESOLVED)


def _sampled(curve: Tensor, segments: int) -> Tensor:
    while curve.shape[1] - 1 < segments:
        curve = doubled(curve)
    stride, odd = divmod(curve.shape[1] - 1, segments)
    return given(curve, segments) if odd else curve[:, ::stride]


def given(curve: Tensor, segments: int = RESOLVED) -> Tensor:
    """A user's curve `(P, n, d)` at uniform t, in straight pieces, as `(P, segments + 1, d)`."""
    t = torch.linspace(0, 1, curve.shape[1], dtype=curve.dtype, device=curve.device).expand(len(curve), -1)
    return resampled(curve, t, segments)


def along_chord(problem: Problem) -> Tensor:
    """Curves `(P, RESOLVED + 1, d)` that follow the decoded chord from both ends to the middle.

    Each vertex is one Levenberg-Marquardt step further than the one before, towards the next point of the ambient segment
    from `x0` to `x1`: built from decoded quantities, hence to first order independent of the latent coordinates.
    Where wide all steps use the metric of the end that they started from.
    Cost: some `26 + 12 d` decoder calls a pair, where wide 32, and what `ends` cost.
    """
    half = WALK // 2
    z, x = torch.cat([problem.z0, problem.z1]), torch.cat([problem.x0, problem.x1])
    origins, goals = x, torch.cat([problem.x1, problem.x0])
    linear, walked = _Linear.at_ends(problem, z), []
    for k in range(1, half + 1):
        linear = linear if k == 1 else linear.at(problem, z)
        z, x = _towards(problem, z, x, torch.lerp(origins, goals, k / WALK), linear)
        walked.append(z)
    forward, backward = (torch.stack([step[rows] for step in walked], 1) for rows in _halves(len(problem)))
    middle = 0.5 * (forward[:, -1:] + backward[:, -1:])
    return _sampled(problem.nodes(torch.cat([forward[:, :-1], middle, backward[:, :-1].flip(1)], 1)), RESOLVED)


def bent(problem: Problem, segments: int) -> list[Tensor]:
    """`2 (d - 1)` starts `(P, segments - 1, d)`: the latent line bent to either side along each direction normal to it.

    Right angles and heights are those of the metric at the line's middle. Cost: `3 + 2 d` decoder calls a pair.
    """
    line = problem.straight(segments)
    along = (problem.z1 - problem.z0)[..., None]
    block = jacobian(problem.immerse, 0.5 * (problem.z0 + problem.z1))
    upper = torch.linalg.cholesky_ex(_damped(block.mT @ block))[0].mT
    normals = torch.linalg.solve_triangular(upper, _completed((upper @ along)[..., 0]), upper=True)
    arch = torch.linspace(0, torch.pi, segments + 1, dtype=line.dtype, device=line.device).sin()[1:-1, None]
    heights = BEND * problem.chord.to(line)[:, None, None] * normals
    bends = [arch * heights[:, None, :, k] for k in range(heights.shape[-1])]
    return [line + side * bend for bend in bends for side in (1, -1)]


def _completed(v: Tensor) -> Tensor:
    """Orthonormal columns `(P, d, d - 1)`, all normal to `v` `(P, d)`, by a Householder reflection."""
    unit, axes = v / v.norm(dim=-1, keepdim=True), torch.eye(v.shape[-1], dtype=v.dtype, device=v.device)
    mirror = unit + torch.where(unit[:, :1] < 0, -1, 1) * axes[0]
    mirror = mirror / mirror.norm(dim=-1, keepdim=True)
    return (axes - 2 * mirror[:, :, None] * mirror[:, None])[..., 1:]


def _damped(gram: Tensor) -> Tensor:
    return gram + torch.diag_embed(DAMPING * gram.diagonal(dim1=-2, dim2=-1))


def _halves(pairs: int) -> tuple[slice, slice]:
    return slice(0, pairs), slice(pairs, 2 * pairs)


@dataclass(frozen=True)
class _Linear:
    """The decoder to first order at N points: damped metrics `(N, d, d)`, and the map from `w` `(N, A)` to `J^T w` `(N, d)`."""

    metric: Tensor
    pull: Callable[[Tensor], Tensor]

    @staticmethod
    def of(block: Tensor) -> "_Linear":
        """From Jacobians `(N, A, d)`."""
        return _Linear(_damped(block.mT @ block), lambda w: (block.mT @ w[..., None])[..., 0])

    @staticmethod
    def at_ends(problem: Problem, z: Tensor) -> "_Linear":
        """At all first ends, then at all last ones."""
        ends = problem.ends
        if ends.frames is not None:
            return _Linear.of((ends.frames.q @ ends.frames.r).transpose(0, 1).flatten(0, 1))
        return _Linear(_damped(ends.metric.transpose(0, 1).flatten(0, 1).to(z)), vjp(problem.immerse, z)[1])

    def at(self, problem: Problem, z: Tensor) -> "_Linear":
        """At other points `(N, d)`; where wide with the same metrics."""
        if problem.wide:
            return _Linear(self.metric, vjp(problem.immerse, z)[1])
        return _Linear.of(jacobian(problem.immerse, z))


def _towards(problem: Problem, z: Tensor, x: Tensor, target: Tensor, linear: _Linear) -> tuple[Tensor, Tensor]:
    """One damped Gauss-Newton step of `|f(z) - target|^2` from z with image x, kept only where it comes nearer."""
    miss = target - x
    factor, info = torch.linalg.cholesky_ex(linear.metric)
    trial = z + torch.cholesky_solve(linear.pull(miss)[..., None], factor)[..., 0]
    there = problem.immerse(trial)
    nearer = (((there - target).norm(dim=-1) < miss.norm(dim=-1)) & (info == 0))[:, None]
    return torch.where(nearer, trial, z), torch.where(nearer, there, x)
