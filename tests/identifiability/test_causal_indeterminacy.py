"""Between causal models the map of latents is an isometry, and elementwise where and only where the theorem says so."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import transforms

import egregium as eg
from egregium.causal import DAG, SCM, AdditiveNoise, Flow, LatentCausalModel, Linear, LocationScale, Orthogonal, transported
from egregium.causal.decoders import rotation
from egregium.errors import ModelError, ShapeError
from egregium.identifiability.indeterminacy import CausalIndeterminacy

SCM3 = SCM(
    DAG.full(3),
    [
        Linear(),
        AdditiveNoise(lambda p: p[:, 0].tanh()),
        LocationScale(lambda p: p[:, 1] - p[:, 0], lambda p: 0.3 * p[:, 0]),
    ],
)
SOFT = transforms.ComposeTransform([transforms.SoftplusTransform(), transforms.ExpTransform().inv])
MAPS = [transforms.AffineTransform(1.0, -2.0), SOFT, transforms.AffineTransform(0.0, 100.0)]


class Mixed:
    """A decoder behind a matrix."""

    def __init__(self, decoder: Any, matrix: Tensor) -> None:
        self.decoder, self.matrix = decoder, matrix

    def __call__(self, z: Tensor) -> Tensor:
        return self.decoder(z @ self.matrix.T)

    def inverse(self, x: Tensor) -> Tensor:
        return self.decoder.inverse(x) @ torch.linalg.inv(self.matrix).T


@pytest.fixture(scope="module")
def model() -> LatentCausalModel:
    return LatentCausalModel(SCM3, Flow(3, 5))


@pytest.fixture(scope="module")
def z(model: LatentCausalModel) -> Tensor:
    return model.scm.sample(20, generator=torch.Generator().manual_seed(0))


def mixed(model: LatentCausalModel, matrix: Tensor) -> LatentCausalModel:
    return LatentCausalModel(model.scm, Mixed(model.decoder, matrix), model.interventions)


def test_isomorphic_models_have_both(model: LatentCausalModel, z: Tensor) -> None:
    found = eg.indeterminacy(model, transported(model, (2, 0, 1), MAPS), z)
    assert isinstance(found, CausalIndeterminacy) and found.permutation == (2, 0, 1)
    assert found.increasing.tolist() == [0.0, 1.0, 1.0]
    assert found.mixing.max() < 1e-9 and found.defect.max() < 1e-9 and found.mismatch.max() < 1e-9
    expected = torch.stack([one(z[:, i]) for i, one in enumerate(MAPS)], -1)[:, [1, 2, 0]]
    torch.testing.assert_close(found.z, expected)
    assert repr(found).startswith("CausalIndeterminacy(20 points, variables 0 -> 2, 1 -> 0, 2 -> 1, mixing ")


def test_rotated_latents_are_isometric_and_mixed(model: LatentCausalModel, z: Tensor) -> None:
    found = eg.indeterminacy(model, mixed(model, rotation(3, torch.Generator().manual_seed(0))), z)
    assert found.defect.max() < 1e-9 and found.mixing.amax(-1).min() > 0.1


def test_one_variable_that_mixes_is_named(model: LatentCausalModel, z: Tensor) -> None:
    matrix = torch.eye(3).double()
    matrix[1, 0] = -0.5  # variable 0 moves 1 as well
    found = eg.indeterminacy(model, mixed(model, matrix), z)
    assert found.permutation == (0, 1, 2) and found.mixing[:, 1:].max() < 1e-9 and found.mixing[:, 0].min() > 0.01


def test_mixing_does_not_depend_on_units_or_names(model: LatentCausalModel, z: Tensor) -> None:
    other = mixed(model, rotation(3, torch.Generator().manual_seed(0)))
    here = transported(model, (2, 0, 1), MAPS)
    units = torch.stack([one(z[:, i]) for i, one in enumerate(MAPS)], -1)[:, [1, 2, 0]]
    a, b = eg.indeterminacy(model, other, z), eg.indeterminacy(here, transported(other, (1, 0, 2), MAPS), units)
    torch.testing.assert_close(a.mixing, b.mixing[:, [2, 0, 1]], rtol=1e-7, atol=1e-9)


def test_models_that_cannot_be_compared_are_refused(model: LatentCausalModel, z: Tensor) -> None:
    with pytest.raises(ModelError, match="3 and 2 causal variables"):
        eg.indeterminacy(model, LatentCausalModel(SCM.linear(torch.zeros(2, 2)), Orthogonal.random(2, 5)), z)
    with pytest.raises(ModelError, match="causal and the other is not"):
        eg.indeterminacy(model, eg.LatentModel(lambda x: x[:, :3], model.decoder), z)  # type: ignore[call-overload]
    with pytest.raises(ModelError, match="Linear is no model"):
        eg.indeterminacy(model, torch.nn.Linear(2, 5), z)  # type: ignore[call-overload]
    with pytest.raises(ShapeError, match=r"points must have shape \(\*batch, 3\)"):
        eg.indeterminacy(model, model, z[:, :2])
