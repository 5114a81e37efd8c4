"""Against which measure a density is: the volume of a space, or that of its coordinates."""

from typing import Any

from torch import Tensor
from torch.distributions import Independent, MixtureSameFamily

from egregium.spaces import Explicit


def space_of(density: Any) -> Explicit | None:
    """The space against whose Riemannian volume a density is; None of those that are densities of coordinates."""
    if isinstance(density, Independent):
        return space_of(density.base_dist)
    if isinstance(density, MixtureSameFamily):
        return space_of(density.component_distribution)
    space = getattr(density, "space", None)
    return space if isinstance(space, Explicit) else None


def log_in_coordinates(density: Any, z: Tensor) -> Tensor:
    """Log-density `(*batch)` at points `(*batch, width)` against the volume of their coordinates."""
    value, space = density.log_prob(z), space_of(density)
    return value if space is None else value + space.log_volume(z)
