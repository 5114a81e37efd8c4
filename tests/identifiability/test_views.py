"""What a model is compared with observations in: their own units, whatever the decoder gives."""

import pytest
import torch
from torch import Tensor

from egregium.geodesics.projection import project
from egregium.identifiability.assumptions import check
from egregium.identifiability.views import observed_space
from egregium.models import LatentModel
from egregium.spaces.charts import Categorical, GaussianWithScale, Poisson, expected


def wide(z: Tensor) -> Tensor:
    return torch.cat([z, 0.5 * z.sin(), 0.3 * z.prod(-1, keepdim=True), z.sum(-1, keepdim=True).cos()], -1)


@pytest.mark.parametrize("chart", [Categorical(logits=True), Poisson(log_rate=True), GaussianWithScale(log_scale=True)])
def test_observations_are_met_in_their_own_units(chart: object) -> None:
    """Of exact observations the projection finds the codes, and decoding explains all."""
    z = 0.5 * torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = expected(chart, wide(z))  # type: ignore[arg-type]
    model = LatentModel(lambda y: z[: len(y)], wide, chart=chart)  # type: ignore[arg-type]
    found = project(observed_space(model), x, z + 0.05, rtol=1e-8)
    assert found.ok.all() and (found.z - z).abs().max() < 1e-6
    assert check(model, x)["encoder"].value < 1e-20
