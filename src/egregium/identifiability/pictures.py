"""Arrays that the report draws: latent points of some trainings, and one geodesic over the volume element."""

from collections.abc import Sequence

import torch
from torch import Tensor

from egregium.geodesics.connect import connect
from egregium.identifiability.battery import RTOL
from egregium.identifiability.views import expected_space
from egregium.protocols import Model
from egregium.relations.volume import log_volume

TRAININGS = 4
SHOWN = 2000
GRID = 80
FRAMES = 9
NARROWEST = 2  # sides of a map that differ by more leave a strip in which nothing can be read


def pictures(models: Sequence[Model], x: Tensor, labels: Tensor | None, ends: tuple[int, int]) -> dict[str, Tensor]:
    """Latent points of up to four trainings at the same test points and, for d = 2, a map of the first training.

    `ends` are the indices of the test points that the drawn geodesic joins.
    """
    shown = x[:SHOWN]
    arrays = {f"latents/{r}": model.encode(shown) for r, model in enumerate(models[:TRAININGS])}
    if labels is not None:
        arrays["labels"] = labels[:SHOWN].long()
    if arrays["latents/0"].shape[-1] == 2:
        arrays |= _map(models[0], arrays["latents/0"], models[0].encode(x[list(ends)]))
    return {name: value.contiguous() for name, value in arrays.items()}


def _map(model: Model, points: Tensor, ends: Tensor) -> dict[str, Tensor]:
    space = expected_space(model)
    low, high = points.amin(0), points.amax(0)
    extent = high - low
    margin = 0.05 * extent + (extent.max() / NARROWEST - extent).clamp_min(0) / 2
    axes = [torch.linspace(float(a), float(b), GRID) for a, b in zip(low - margin, high + margin, strict=True)]
    grid = torch.stack(torch.meshgrid(*axes, indexing="xy"), -1)
    g = connect(space, ends[0], ends[1], rtol=RTOL, on_fail="mark")
    t = torch.linspace(0, 1, 60)
    frames = torch.linspace(0, 1, FRAMES)
    straight = torch.lerp(ends[0], ends[1], t[:, None])
    with torch.no_grad():
        return {
            "map/grid": grid,
            "map/log_volume": log_volume(space, grid),
            "map/points": points,
            "map/geodesic": g(t),
            "map/straight": straight,
            "map/geodesic_images": space.decode(g(frames)),
            "map/straight_images": space.decode(torch.lerp(ends[0], ends[1], frames[:, None])),
        }
