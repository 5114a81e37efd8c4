"""The still part of the lamp-and-lever scene: a wall, a floor and lamps on cords, and what each lamp alone makes of them.

Lengths are in units of the picture's side, x from left to right and y from top to bottom, from 0 to 1. Light is in units of
exposure: `Scene` turns it into grey values by tanh, which bounds it and mixes the lamps nonlinearly.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

COLOURS = {
    "blue": (0.16, 0.40, 1.00),
    "green": (0.18, 0.95, 0.34),
    "red": (1.00, 0.20, 0.14),
    "amber": (1.00, 0.62, 0.10),
    "violet": (0.66, 0.24, 1.00),
}
HORIZON = 0.64
PIVOT_X, PIVOT_Y = 0.5, 0.85
LAMP_Y = 0.24
REACH = 0.39  # y above which the lever never comes
MARGIN = 0.02
EDGE = 0.011  # softness of outlines: less than a pixel's width of a picture of 64 x 64
AMBIENT = (0.27, 0.27, 0.33)
WALL, FLOOR, BRASS, SHADE = (0.86, 0.84, 0.82), (0.66, 0.56, 0.48), (0.80, 0.66, 0.40), (0.30, 0.31, 0.34)


@dataclass(frozen=True, eq=False)
class Stage:
    """What does not move, for pictures of `size` x `size` pixels, of which the lever reaches the lower `reach` rows.

    Args:
        x: of the pixels' centres, `(size,)`.
        y: of the pixels' centres that the lever reaches, `(reach,)`.
        dark: light of the room with all lamps out, `(3, size, size)`.
        lit: light that each lamp adds at full brightness, `(lamps, 3, size, size)`.
        places: x of each lamp, `(lamps,)`.
        colours: colour of each lamp's light, `(lamps, 3)`.
        ambient: colour of the light that is always there, `(3,)`.
        brass: colour of the lever's arm, `(3,)`.
    """

    x: Tensor
    y: Tensor
    dark: Tensor
    lit: Tensor
    places: Tensor
    colours: Tensor
    ambient: Tensor
    brass: Tensor

    @classmethod
    def build(cls, size: int, lamps: int) -> "Stage":
        """In float64, on the CPU."""
        centres = (torch.arange(size, dtype=torch.float64) + 0.5) / size
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        places = MARGIN + (1 - 2 * MARGIN) * (torch.arange(lamps, dtype=torch.float64) + 0.5) / lamps
        colours = torch.tensor(list(COLOURS.values())[:lamps], dtype=torch.float64)
        covers = [_cover(x, y, place) for place in places]
        clear = 1 - torch.stack(covers).sum(0)
        paint = _paint(x, y) * clear
        ambient = _plane(AMBIENT)
        dark = ambient * (paint + _plane(SHADE) * (1 - clear))
        lit = [
            colour[:, None, None] * (paint * _wash(x, y, place) + cover * _rim(x, y, place)) + _bulb(x, y, place, colour)
            for colour, place, cover in zip(colours, places, covers, strict=True)
        ]
        within = centres[centres > REACH]
        return cls(centres, within, dark, torch.stack(lit), places, colours, ambient.flatten(), _plane(BRASS).flatten())

    def to(self, like: Tensor) -> "Stage":
        """The same in the dtype and on the device of a tensor."""
        return Stage(**{name: part.to(device=like.device, dtype=like.dtype) for name, part in vars(self).items()})


def _plane(colour: tuple[float, float, float]) -> Tensor:
    return torch.tensor(colour, dtype=torch.float64)[:, None, None]


def _paint(x: Tensor, y: Tensor) -> Tensor:
    """Reflectance `(3, size, size)` of the papered wall, its skirting board, the boarded floor and the lever's brass foot."""
    depth = (y - HORIZON).clamp_min(0) / (1 - HORIZON)
    joints = torch.tanh(2.2 + 3 * torch.cos(14 * torch.pi * (x - 0.5) / (0.55 + 0.45 * depth)))
    floor = (0.93 + 0.07 * joints) * (0.9 + 0.2 * depth)
    wall = (0.97 + 0.03 * torch.cos(20 * torch.pi * x)) * (1 - 0.45 * torch.exp(-(((y - HORIZON + 0.03) / 0.022) ** 4)))
    room = torch.lerp(_plane(WALL) * wall, _plane(FLOOR) * floor, _below(y))
    foot = torch.exp(-((((x - PIVOT_X) / 0.075) ** 2 + ((y - PIVOT_Y - 0.015) / 0.04) ** 2) ** 3))
    return torch.lerp(room, _plane(BRASS) * (0.75 + 5 * (PIVOT_Y + 0.03 - y)), foot)


def _below(y: Tensor) -> Tensor:
    """1 on the floor, 0 on the wall."""
    return torch.sigmoid((y - HORIZON) / EDGE)


def _cover(x: Tensor, y: Tensor, place: Tensor) -> Tensor:
    """Opacity `(size, size)` of a lamp's cord and shade."""
    height = y - LAMP_Y
    cord = 0.85 * torch.exp(-(((x - place) / 0.008) ** 2)) * torch.sigmoid(-(height + 0.07) / EDGE)
    half_width = 0.028 + 0.052 * torch.sigmoid((height + 0.035) / 0.016)
    shade = torch.sigmoid((half_width - (x - place).abs()) / EDGE)
    shade = shade * torch.sigmoid((height + 0.075) / EDGE) * torch.sigmoid((0.005 - height) / EDGE)
    return 1 - (1 - cord) * (1 - shade)


def _wash(x: Tensor, y: Tensor, place: Tensor) -> Tensor:
    """What a lamp throws on the room, `(size, size)`: a widening cone and a halo on the wall, a pool on the floor."""
    height = y - LAMP_Y
    spread = 0.07 + 0.42 * F.softplus(height, beta=20)
    cone = torch.exp(-(((x - place) / spread) ** 2) - 2.4 * height) * torch.sigmoid((height - 0.01) / 0.03)
    halo = torch.exp(-(((x - place) / 0.28) ** 2) - (height / 0.28) ** 2)
    pool = torch.exp(-(((x - place) / 0.42) ** 2) - ((y - 0.87) / 0.20) ** 2)
    return torch.lerp(1.8 * cone + 0.28 * halo, 1.15 * pool, _below(y))


def _rim(x: Tensor, y: Tensor, place: Tensor) -> Tensor:
    """What shines through a lamp's shade, most at its rim, `(size, size)`."""
    return 0.55 * torch.exp(-(((y - LAMP_Y) / 0.035) ** 2) - ((x - place) / 0.08) ** 2)


def _bulb(x: Tensor, y: Tensor, place: Tensor, colour: Tensor) -> Tensor:
    """Light of a lamp's bulb itself, whiter than what it throws, `(3, size, size)`."""
    spot = torch.exp(-(((x - place) / 0.034) ** 2) - ((y - LAMP_Y - 0.022) / 0.026) ** 2)
    return (1.1 + 2.1 * colour)[:, None, None] * spot
