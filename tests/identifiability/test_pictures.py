"""What the report draws: a map of the latent plane that can be read however the codes lie."""

import torch

from egregium.identifiability.pictures import GRID, NARROWEST, pictures
from egregium.models import LatentModel


def test_a_narrow_cloud_of_codes_gets_a_map_that_is_no_strip() -> None:
    points = torch.randn(50, 3, generator=torch.Generator().manual_seed(0)) * torch.tensor([10.0, 0.1, 1.0])
    model = LatentModel(lambda x: x[:, :2], lambda z: torch.cat([z, z[:, :1].sin()], -1))
    grid = pictures([model], points, None, (0, 1))["map/grid"]
    assert grid.shape == (GRID, GRID, 2)
    wide, high = (float(grid[..., k].max() - grid[..., k].min()) for k in (0, 1))
    assert wide > points[:, 0].max() - points[:, 0].min() and 1 < wide / high < NARROWEST + 0.2
