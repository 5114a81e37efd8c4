"""Axes through 0 near which directions lie: constant ones, and axes that turn from place to place.

Under an intervention on one variable an observation moves along a curve, and at each place the curves of one variable have one
tangent. So n fields of axes explain how pairs near each other move, and two variables cannot share a field: they would need two
axes at one place. Fields are found by a mixture of axial (Watson) laws whose axes a network gives.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from egregium.causal.learning.flat_adam import FlatAdam
from egregium.causal.learning.perceptrons import Bent
from egregium.models.optimisation import schedule

FEW = 5000  # directions among which constant axes are sought
FEWER = 2000  # of which each may be one
CONCENTRATIONS = 10.0, 30.0, 100.0  # of the clouds about an axis
STARTS = 3  # drawn at random, beside those
SWEEPS = 30
HIDDEN = 64, 64
BATCH, LR, WARMUP = 512, 2e-3, 100
FIRST, LAST, SHARPENED = 30.0, 100.0, 0.7  # concentrations of the mixture, and the share of the steps in which they rise
FOLLOWING = 0.01
RAREST = 1e-4
ROUNDING = 1e-6


def constant_axes(direction: Tensor, weight: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """n unit axes `(n, k)`, whose nearest directions `(M, k)` have the largest weighted mean of squared cosines.

    The best of a few descents: from the densest clouds of directions, and from directions far from each other.
    """
    some = torch.randperm(len(direction), generator=generator)[:FEW]
    direction, weight = direction[some], weight[some]
    starts = [_densest(direction[:FEWER], weight[:FEWER], n, concentration) for concentration in CONCENTRATIONS]
    starts += [_apart(direction, weight, n, generator) for _ in range(STARTS)]
    ends = [_descended(start, direction, weight) for start in starts]
    return max(ends, key=lambda axes: float(weight @ _squares(axes, direction).amax(1)))


def principal_axes(direction: Tensor, kind: Tensor, n: int) -> Tensor:
    """Unit axes `(n, k)` with the largest mean squared cosine among the directions `(M, k)` of each kind `(M,)`; 0 if none."""
    own = F.one_hot(kind, n).to(direction)
    axes = torch.stack([direction[kind == i][:1].sum(0) for i in range(n)])
    for _ in range(SWEEPS):
        axes = _pulled(axes, direction, own)
    return axes


def bends(direction: Tensor, kind: Tensor, n: int) -> Tensor:
    """How far directions `(M, k)` of each kind are from one axis: `(n,)`, 0 on a line, mean squared sines."""
    cosines = (direction * principal_axes(direction, kind, n)[kind]).sum(1).square()
    return torch.stack([1 - cosines[kind == i].mean() for i in range(n)])


def still_coordinates(move: Tensor, kind: Tensor, n: int) -> Tensor:
    """Linear forms `(k, n)`, of which number i grows the most under moves `(M, k)` of kind i `(M,)` and the others the least.

    Where moves of each kind lie on one line, form i is 0 on all other lines. The more these are bent, the more a form is drawn
    to where moves are long at all.
    """
    squares = torch.stack([one.T @ one / len(one) for one in (move[kind == i].double() for i in range(n))])
    bend = float(bends(F.normalize(move, dim=1), kind, n).mean().clamp_min(ROUNDING))
    least = bend * squares.diagonal(dim1=1, dim2=2).mean() * torch.eye(move.shape[1])
    lower = torch.linalg.cholesky(squares.sum(0) - squares + least)
    half = torch.linalg.solve_triangular(lower, squares, upper=False)
    whitened = torch.linalg.solve_triangular(lower, half.mT, upper=False)
    largest = torch.linalg.eigh(whitened).eigenvectors[..., -1:]
    return torch.linalg.solve_triangular(lower.mT, largest, upper=True)[..., 0].T.to(move)


def regressed(x: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    """Matrix `(n, k)` and offset `(k,)` of the affine map from u `(M, n)` nearest to x `(M, k)`."""
    ones = torch.cat([u, torch.ones(len(u), 1)], 1)
    found = torch.linalg.lstsq(ones, x).solution
    return found[:-1], found[-1]


def squared_cosines(axes: Tensor, direction: Tensor) -> Tensor:
    """Of unit axes `(M, n, k)` with unit directions `(M, k)`: `(M, n)`."""
    return (axes @ direction[..., None])[..., 0].square()


class AxisFields(nn.Module):
    """n fields of unit axes on observations `(M, k)`: a network that starts at constant axes."""

    def __init__(self, axes: Tensor, generator: torch.Generator) -> None:
        super().__init__()
        self.n, width = axes.shape
        self.network = Bent(width, HIDDEN, axes.numel(), generator)
        with torch.no_grad():
            matrix, offset = self.network.straight
            matrix *= 0.1
            offset.copy_(axes.flatten())

    def forward(self, x: Tensor) -> Tensor:
        """`(M, n, k)`."""
        return F.normalize(self.network(x).unflatten(1, (self.n, -1)), dim=-1)


def trained_fields(
    x: Tensor, y: Tensor, direction: Tensor, weight: Tensor, n: int, generator: torch.Generator, steps: int
) -> AxisFields:
    """Fields that explain best how pairs `(M, k)` move, by their axes where these begin and where they end alike."""
    fields = AxisFields(constant_axes(direction, weight, n, generator), generator)
    optimizer, log_share = FlatAdam(list(fields.parameters())), torch.full((n,), -math.log(n))
    for step in range(steps):
        rows = torch.randint(len(x), (BATCH,), generator=generator)
        concentration = FIRST * (LAST / FIRST) ** min(1.0, step / (SHARPENED * steps))
        cosines = squared_cosines(fields((y if step % 2 else x)[rows]), direction[rows])
        logits = log_share + concentration * (cosines - 1)
        loss = -(weight[rows] * torch.logsumexp(logits, 1)).mean() / concentration
        usage = torch.softmax(logits.detach(), 1).mean(0).clamp_min(RAREST).log()
        log_share = torch.log_softmax(torch.lerp(log_share, usage, FOLLOWING), 0)
        optimizer.step(loss, LR * schedule(step, steps, WARMUP))
    return fields.requires_grad_(False)


def _densest(direction: Tensor, weight: Tensor, n: int, concentration: float) -> Tensor:
    """Directions with the most weight about them, one after the other, each taking its weight away."""
    near = torch.exp(concentration * ((direction @ direction.T).square() - 1))
    found = []
    for _ in range(n):
        found.append(int((near @ weight).argmax()))
        weight = weight * (1 - near[found[-1]])
    return direction[found]


def _apart(direction: Tensor, weight: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Drawn ones, each likelier the farther it is from those before (Arthur and Vassilvitskii 2007)."""
    axes = direction[torch.randint(len(direction), (1,), generator=generator)]
    while len(axes) < n:
        gap = (1 - _squares(axes, direction).amax(1)).clamp_min(1e-9)
        axes = torch.cat([axes, direction[torch.multinomial(weight * gap, 1, generator=generator)]])
    return axes


def _descended(axes: Tensor, direction: Tensor, weight: Tensor) -> Tensor:
    """Lloyd's descent: each axis is pulled to the directions nearest to it."""
    for _ in range(SWEEPS):
        nearest = F.one_hot(_squares(axes, direction).argmax(1), len(axes))
        axes = _pulled(axes, direction, weight[:, None] * nearest)
    return axes


def _squares(axes: Tensor, direction: Tensor) -> Tensor:
    """Squared cosines `(M, n)` with axes `(n, k)` that are the same everywhere."""
    return (direction @ axes.T).square()


def _pulled(axes: Tensor, direction: Tensor, weight: Tensor) -> Tensor:
    """A step of the power method to the principal axes of directions that weigh `(M, n)`; one of no weight stays."""
    pulled = (weight * (direction @ axes.T)).T @ direction
    return F.normalize(torch.where(pulled.any(1, keepdim=True), pulled, axes), dim=1)
