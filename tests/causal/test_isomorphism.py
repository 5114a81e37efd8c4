"""Isomorphic models are recognised, and nothing else is."""

from typing import Any

import pytest
import torch
from torch.distributions import Laplace, Normal, transforms
from zuko.transforms import MonotonicRQSTransform

from egregium.causal import (
    DAG,
    SCM,
    AdditiveNoise,
    Flow,
    InterventionLaw,
    LatentCausalModel,
    Linear,
    LocationScale,
    Orthogonal,
    compare,
    find_isomorphism,
    transported,
)
from egregium.causal.decoders import rotation
from egregium.errors import ModelError, OptionError, ShapeError

CURVED = [
    Linear(),
    AdditiveNoise(lambda p: p[:, 0].tanh()),
    LocationScale(lambda p: p[:, 1] - p[:, 0], lambda p: 0.3 * p[:, 0]),
]
LAW = InterventionLaw.atomic(3, [Normal(0.0, 1.0), Laplace(0.0, 1.0), Normal(0.5, 1.0)], (0.1, 0.2, 0.3, 0.4))
WAVE = torch.arange(6).double()
MAPS = [
    transforms.AffineTransform(1.0, -2.0),
    transforms.ComposeTransform([transforms.SoftplusTransform(), transforms.ExpTransform().inv]),
    MonotonicRQSTransform(
        torch.ones(6).cumsum(0).sin().double(), torch.ones(6).cumsum(0).cos().double(), torch.zeros(5).double()
    ),
]


@pytest.fixture(scope="module")
def model() -> LatentCausalModel:
    return LatentCausalModel(SCM(DAG.full(3), CURVED), Flow(3, 5), LAW)


def changed(model: LatentCausalModel, **parts: Any) -> LatentCausalModel:
    return LatentCausalModel(**{name: parts.get(name, getattr(model, name)) for name in ("scm", "decoder", "interventions")})


def test_a_model_is_isomorphic_with_itself_in_one_way(model: LatentCausalModel) -> None:
    assert find_isomorphism(model, model) == (0, 1, 2)


def test_transported_models_are_recognised_and_have_the_same_density(model: LatentCausalModel) -> None:
    other = transported(model, (2, 0, 1), MAPS)
    found = compare(model, other)
    assert found.ok and found.permutation == (2, 0, 1), found
    assert find_isomorphism(other, model) == (1, 2, 0)
    pairs = model.sample(50, generator=torch.Generator().manual_seed(1))
    assert torch.allclose(model.log_prob(pairs.x, pairs.x_after), other.log_prob(pairs.x, pairs.x_after), rtol=0, atol=1e-8)


def test_transport_carries_worlds_to_the_same_observations(model: LatentCausalModel) -> None:
    other = transported(model, (2, 0, 1), MAPS)
    x = model.sample(20, generator=torch.Generator().manual_seed(1)).x
    noise, there = model.scm.abduct(model.encode(x)), other.scm.abduct(other.encode(x))
    assert torch.allclose(noise, there[:, [2, 0, 1]], rtol=0, atol=1e-8)


class Rotated:
    """A decoder behind a rotation of the latents."""

    def __init__(self, decoder: Any, turn: torch.Tensor) -> None:
        self.decoder, self.turn = decoder, turn

    def __call__(self, z: torch.Tensor) -> torch.Tensor:
        return self.decoder(z @ self.turn.T)

    def inverse(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder.inverse(x) @ self.turn


def test_rotated_latents_are_rejected(model: LatentCausalModel) -> None:
    turn = rotation(3, torch.Generator().manual_seed(0))
    assert "latents" in compare(model, changed(model, decoder=Rotated(model.decoder, turn))).failed


def test_two_variables_mixed_are_rejected(model: LatentCausalModel) -> None:
    turn = torch.eye(3).double()
    turn[:2, :2] = torch.tensor([[0.8, -0.6], [0.6, 0.8]])
    assert "latents" in compare(model, changed(model, decoder=Rotated(model.decoder, turn))).failed


def test_a_dropped_edge_is_rejected(model: LatentCausalModel) -> None:
    scm = SCM(DAG([(), (), (0, 1)]), [Linear(), Linear(), CURVED[2]])
    found = compare(model, changed(model, scm=scm))
    assert {"graph", "solutions", "pairs"} <= set(found.failed) and found.graph == 1


def test_a_swap_that_is_no_automorphism_is_rejected(model: LatentCausalModel) -> None:
    turn = torch.eye(3).double()[[1, 0, 2]]
    found = compare(model, changed(model, decoder=Rotated(model.decoder, turn)))
    assert found.permutation == (1, 0, 2) and "latents" not in found.failed
    assert {"graph", "solutions", "pairs"} <= set(found.failed)


@pytest.mark.parametrize(
    ("law", "failed"),
    [
        (InterventionLaw.atomic(3, [Normal(0.0, 1.0), Laplace(0.0, 1.0), Normal(0.5, 1.0)], (0.2, 0.2, 0.3, 0.3)), "law"),
        (InterventionLaw.atomic(3, [Normal(0.0, 1.0), Laplace(0.0, 1.0), Normal(0.5, 1.5)], LAW.probabilities), "pairs"),
        (InterventionLaw(LAW.interventions[:3], (0.5, 0.2, 0.3)), "law"),
    ],
    ids=["probabilities", "law of a target", "missing target"],
)
def test_other_interventions_are_rejected(model: LatentCausalModel, law: InterventionLaw, failed: str) -> None:
    assert {failed, "pairs"} <= set(compare(model, changed(model, interventions=law)).failed)


def test_another_noise_is_rejected(model: LatentCausalModel) -> None:
    scm = SCM(DAG.full(3), CURVED, [Normal(0.0, 1.0), Normal(0.0, 1.1), Normal(0.0, 1.0)])
    assert {"noise", "pairs"} == set(compare(model, changed(model, scm=scm)).failed)


def test_another_image_is_rejected(model: LatentCausalModel) -> None:
    assert "image" in compare(model, changed(model, decoder=Flow(3, 5, seed=1))).failed


def test_bad_input_is_refused_in_words(model: LatentCausalModel) -> None:
    with pytest.raises(ShapeError, match="observations of one shape"):
        compare(model, changed(model, decoder=Orthogonal.random(3)))
    with pytest.raises(ModelError, match="a method `inverse`"):
        compare(model, changed(model, decoder=lambda z: z @ torch.ones(3, 5).double()))
    with pytest.raises(OptionError, match="permutation of 3 variables"):
        transported(model, (0, 0, 1))
