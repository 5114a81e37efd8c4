"""Gauss-Legendre rules for functions of the distance from a point, and on the 2-sphere: what densities are held to."""

import math

import numpy as np
import torch
from torch import Tensor

from egregium.numerics.gamma import log_sphere_area
from egregium.spaces import Sphere


def legendre(start: float, end: float, count: int) -> tuple[Tensor, Tensor]:
    nodes, weights = np.polynomial.legendre.leggauss(count)
    half = 0.5 * (end - start)
    return torch.from_numpy(start + half * (nodes + 1)), torch.from_numpy(half * weights)


def zonal(space: Sphere, loc: Tensor, widest: float = math.pi, count: int = 400) -> tuple[Tensor, Tensor]:
    """Points at all angles to loc up to the widest, along one meridian, and the volume that each stands for."""
    angle, weight = legendre(0, widest, count)
    across = torch.linalg.qr(torch.stack([loc, loc.roll(1)], -1))[0][:, 1]
    x = angle.cos()[:, None] * loc + angle.sin()[:, None] * across
    log_volume = (space.n - 1) * angle.sin().log() + log_sphere_area(space.n - 1) + space.n * math.log(space.radius)
    return x, weight * log_volume.exp()


def whole_sphere(space: Sphere, count: int = 200) -> tuple[Tensor, Tensor]:
    """Points of a 2-sphere and their areas; about the axis of the last coordinate."""
    angle, weight = legendre(0, math.pi, count)
    turn = 2 * math.pi * torch.arange(count, dtype=torch.float64) / count
    circle = torch.stack([turn.cos(), turn.sin()], -1)
    x = torch.cat([angle.sin()[:, None, None] * circle, angle.cos()[:, None, None].expand(-1, count, 1)], -1)
    area = (weight * angle.sin())[:, None].expand(-1, count) * 2 * math.pi / count * space.radius**2
    return x.flatten(0, 1), area.flatten()
