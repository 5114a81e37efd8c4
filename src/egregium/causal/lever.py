"""The moving part of the lamp-and-lever scene: a brass arm with a white ball, and the coloured shadows that it throws."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.causal.stage import LAMP_Y, PIVOT_X, PIVOT_Y, Stage

SWING = math.radians(58)  # of the arm, either way
ARM, ARM_WIDTH, BALL = 0.36, 0.016, 0.058  # length, half the width, radius
LINKS = 4  # spots that make up a shadow
LIGHT_Y = LAMP_Y - 0.14  # from where the shadows seem to come
SIDE = 0.42  # how far a lamp lights the ball


@dataclass(frozen=True, eq=False)
class Lever:
    """A lever in each of N pictures, by where its ball is: x and y, `(N,)`."""

    x: Tensor
    y: Tensor

    @classmethod
    def at(cls, variable: Tensor) -> "Lever":
        """The lever that a causal variable `(N,)` sets: upright at 0, far right at large values."""
        angle = SWING * torch.tanh(variable / 1.8)
        return cls(PIVOT_X + ARM * torch.sin(angle), PIVOT_Y - ARM * torch.cos(angle))

    def transmittance(self, still: Stage) -> Tensor:
        """What share of each lamp's light the lever lets through to each pixel, `(N, lamps, reach, size)`.

        A lamp's shadow on the floor is a chain of soft spots from the lever's foot to the shadow of the ball, each of them a
        product of a function of x and one of y.
        """
        share = torch.arange(1, LINKS + 1, dtype=still.x.dtype, device=still.x.device) / LINKS
        ball = (share == 1).to(share)
        x = (PIVOT_X + share * (self.x[:, None] - PIVOT_X))[:, None]  # (N, 1, links)
        height = share * (PIVOT_Y - self.y)[:, None, None]
        throw = height / (PIVOT_Y - LIGHT_Y - height)
        spread = (0.036 + 0.044 * ball) * (1 + 0.5 * throw)
        columns = _spot(still.x, x + (x - still.places[:, None]) * throw, spread)  # (N, lamps, links, size)
        rows = _spot(still.y, PIVOT_Y + 0.012 + 0.06 * throw, 0.5 * spread) * (0.9 + 6.1 * ball)[:, None]
        depth = rows.expand(-1, columns.shape[1], -1, -1).transpose(2, 3) @ columns
        return torch.reciprocal(1 + depth)

    def before(self, room: Tensor, still: Stage, brightness: Tensor) -> Tensor:
        """Light `(N, 3, reach, size)` of a room with the lever before it; `brightness` is `(N, lamps)`."""
        near = brightness * torch.exp(-(((self.x[:, None] - still.places) / SIDE) ** 2))
        lit = 1.5 * still.ambient + 1.3 * near @ still.colours  # (N, 3)
        to_right = (near * (still.places - self.x[:, None])) @ still.colours * (1.6 / BALL)
        to_bottom = -0.5 / BALL * lit
        middle = lit - to_right * self.x[:, None] - to_bottom * self.y[:, None]
        plane = torch.stack(torch.broadcast_tensors(torch.ones_like(still.x), still.x, still.y[:, None])).flatten(1)
        shading = (torch.stack([middle, to_right, to_bottom], 2) @ plane).view_as(room)
        with_arm = torch.lerp(room, (still.brass * lit)[..., None, None], self._arm(still))
        return torch.lerp(with_arm, shading, self._ball(still))

    def _arm(self, still: Stage) -> Tensor:
        """Opacity `(N, 1, reach, size)`."""
        right, up = ((self.x - PIVOT_X) / ARM)[:, None, None], ((PIVOT_Y - self.y) / ARM)[:, None, None]
        x, y = still.x - PIVOT_X, (PIVOT_Y - still.y)[:, None]
        along = x * (right * 2 / ARM) + (y * (up * 2 / ARM) - 1)  # -1 at the foot, 1 in the ball
        across = x * (up / ARM_WIDTH) - y * (right / ARM_WIDTH)
        outside = across.square().square() + along.square().square().square().square()
        return torch.reciprocal(1 + outside)[:, None]

    def _ball(self, still: Stage) -> Tensor:
        """Opacity `(N, 1, reach, size)`."""
        right, down = ((still.x - self.x[:, None]) / BALL)[:, None], ((still.y - self.y[:, None]) / BALL)[..., None]
        return torch.reciprocal(1 + (right.square() + down.square()).square().square())[:, None]


def _spot(x: Tensor, centre: Tensor, spread: Tensor) -> Tensor:
    """A soft bump about each centre: rational, since exponentials that underflow are slow."""
    return (1 + ((x - centre[..., None]) / spread[..., None]).square()).square().reciprocal()
