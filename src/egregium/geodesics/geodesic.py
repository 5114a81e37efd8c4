"""The result of joining two points: numbers with bounds and a status, and the curve itself."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from egregium.geodesics.rays import Columns, Drawn
from egregium.status import Status, counts, span


@dataclass(frozen=True, eq=False, repr=False)
class Geodesic:
    """Geodesics between pairs of points, `*batch` of them.

    All numbers are invariant under isometries of the latent space except `curve`, which is drawn in its coordinates.

    Attributes:
        length: `(*batch)`, length of the best local geodesic found, the distance where it is the global one.
        energy: `(*batch)`, `int |c'|^2 dt >= length^2`.
        lower, upper: `(*batch)`, bounds of the distance: decoded chord (or the Fisher-Rao distance of the ends, for charts
            that know it), and length of an admissible curve with its error.
        second_best: `(*batch)`, length of the next best distinct local geodesic that the starts led to, NaN if none.
        status: `(*batch)` int8, see `eg.Status`; `ok` where CONVERGED.
        segments, steps: `(*batch)`, segments of the last discretisation, and solver steps over all of them.
        initial_velocity, final_velocity: `(*batch, d)`, tangent vectors whose metric norm is `length`.
        direction_error: `(*batch)`, radians by which these still moved in the last refinement: CONVERGED is about length, so
            directions at a loose `rtol` may be less certain than it.
    """

    length: Tensor
    energy: Tensor
    lower: Tensor
    upper: Tensor
    second_best: Tensor
    status: Tensor
    segments: Tensor
    steps: Tensor
    initial_velocity: Tensor
    final_velocity: Tensor
    direction_error: Tensor
    curve: Drawn
    decoder: Callable[[Tensor], Tensor]

    @property
    def ok(self) -> Tensor:
        """Where CONVERGED, `(*batch)`."""
        return self.status == Status.CONVERGED

    def __repr__(self) -> str:
        return (
            f"Geodesic(batch {tuple(self.length.shape)}, d = {self.curve.width}, length {span(self.length)}, "
            f"segments {span(self.segments)}: {counts(self.status)})"
        )

    @property
    def nodes(self) -> Tensor:
        """Each curve at uniform t, `(*batch, max T + 1, d)`."""
        return self(torch.linspace(0, 1, int(self.segments.max()) + 1, dtype=self.length.dtype, device=self.length.device))

    def __call__(self, t: Tensor | float) -> Tensor:
        """Latent points at t in [0, 1], proportional to arc length: scalar t `(*batch, d)`, t `(K,)` `(*batch, K, d)`."""
        return self._at(t)[0]

    def velocity(self, t: Tensor | float) -> Tensor:
        """Latent velocities at t, shaped as in a call; their metric norm is `length` up to interpolation."""
        return self._at(t)[1]

    def decode(self, t: Tensor | float) -> Tensor:
        """Decoded observations at t, `(*batch, *out)` or `(*batch, K, *out)`."""
        return self.decoder(self(t))

    def __getitem__(self, index: Any) -> "Geodesic":
        """The geodesics at an index of the batch."""
        places = torch.arange(self.length.numel(), device=self.length.device).reshape(self.length.shape)[index]
        fields = {name: getattr(self, name)[index] for name in PER_ROW}
        return replace(self, **fields, curve=self.curve[places.reshape(-1)])

    def columns(self, place: slice) -> "Geodesic":
        """Velocities and curves in these coordinates alone, which are those of a factor of a product."""
        return replace(
            self, initial_velocity=self.initial_velocity[..., place], final_velocity=self.final_velocity[..., place],
            curve=Columns(self.curve, place),
        )  # fmt: skip

    def to(self, *args: object, **kwargs: object) -> "Geodesic":
        """All tensors moved or cast as by `Tensor.to`; integer fields keep their dtype."""
        moved = {name: getattr(self, name).to(*args, **kwargs) for name in PER_ROW if getattr(self, name).is_floating_point()}
        place = next(iter(moved.values())).device
        rest = {name: getattr(self, name).to(place) for name in PER_ROW if name not in moved}
        return replace(self, **moved, **rest, curve=self.curve.to(*args, **kwargs))

    def _at(self, t: Tensor | float) -> tuple[Tensor, Tensor]:
        t = torch.as_tensor(t, dtype=self.length.dtype, device=self.length.device)
        shape = (*self.length.shape, *t.shape, self.curve.width)
        z, v = self.curve.at(t.reshape(1, -1).expand(len(self.curve), -1))
        return z.reshape(shape), v.reshape(shape)


PER_ROW = (
    "length", "energy", "lower", "upper", "second_best", "status", "segments", "steps", "initial_velocity", "final_velocity",
    "direction_error",
)  # fmt: skip


def shorter(g: Geodesic, other: Geodesic) -> Geodesic:
    """Of two geodesics of each pair the shorter one that is CONVERGED, and the other's length as second best."""
    wins = other.ok & ~(g.ok & (g.length <= other.length))
    beaten = torch.where(wins, g.length.where(g.ok, torch.nan), other.length.where(other.ok, torch.nan))

    def chosen(name: str) -> Tensor:
        mine, theirs = getattr(g, name), getattr(other, name)
        return torch.where(wins.reshape(wins.shape + (1,) * (mine.ndim - wins.ndim)), theirs, mine)

    fields = {name: chosen(name) for name in PER_ROW}
    fields["second_best"] = torch.fmin(fields["second_best"], beaten)
    rows = wins.reshape(-1).nonzero().flatten()
    return replace(g, **fields, curve=g.curve.updated(rows, other.curve[rows]))
