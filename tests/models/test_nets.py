"""Laws of the networks: shapes, smoothness, and that a stacked ensemble is its members."""

import pytest
import torch
from torch import nn

from egregium.errors import ModelError
from egregium.models.nets import ACTIVATIONS, Resize, SeparateDecoders, StackedPerceptrons, image_sizes, linear, multiply_adds
from egregium.models.vae import VAE

SHAPES = [(1, 8, 8), (1, 28, 28), (3, 32, 32), (3, 64, 64), (1, 7, 10)]


def build(shape, **options):
    return VAE(**{"decoders": 2, "hidden": (5,), "channels": (2, 3), **options}).build(shape, 0)


@pytest.mark.parametrize("convolutional", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_encoder_and_decoders_have_the_shapes_of_the_data(shape, convolutional):
    module = build(shape, convolutional=convolutional, latent=3)
    mean, log_var = module.encoder(torch.zeros(4, *shape)).chunk(2, -1)
    assert mean.shape == log_var.shape == module.mean(torch.zeros(4, *shape)).shape == (4, 3)
    for decoder in module.decoders:
        assert decoder(torch.zeros(4, 3)).shape == (4, *shape)


def test_perceptrons_take_observations_of_any_shape():
    for shape in [(7,), (2, 3), (2, 3, 2, 2)]:
        module = build(shape)
        assert module.decoders[0](module.mean(torch.zeros(4, *shape))).shape == (4, *shape)


@pytest.mark.parametrize("convolutional", [False, True])
@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_first_and_second_derivatives_of_decoders_are_right_in_both_modes(activation, convolutional):
    shape = (1, 4, 5) if convolutional else (3,)
    decoder = build(shape, activation=activation, convolutional=convolutional).decoders[0].double()
    z = torch.randn(2, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(decoder, (z,), check_forward_ad=True)
    assert torch.autograd.gradgradcheck(decoder, (z,))


def bend(activation: nn.Module) -> float:
    """Largest second difference of the derivative over its step: O(step) for C^2, O(1) for C^1, O(1/step) for a kink."""
    step = 1e-2
    x = torch.arange(-6000, 6001, dtype=torch.float64).mul(step).requires_grad_()
    (slope,) = torch.autograd.grad(activation(x).sum(), x)
    return float(slope.diff(n=2).abs().max() / step)


def test_activations_have_two_continuous_derivatives():
    for name, activation in ACTIVATIONS.items():
        assert bend(activation()) < 0.1, name


def test_the_test_of_smoothness_can_fail():
    assert bend(nn.ELU()) > 0.5
    assert bend(nn.ReLU()) > 10


@pytest.mark.parametrize("hidden", [(4,), (6, 3, 5)])
def test_stacked_perceptrons_are_their_members_and_write_back(hidden):
    module = build((1, 2, 3), decoders=3, hidden=hidden)
    z = torch.randn(3, 7, 2, generator=torch.Generator().manual_seed(0))
    stacked = module.ensemble()
    assert isinstance(stacked, StackedPerceptrons)
    separate = SeparateDecoders(module.decoders)
    assert torch.allclose(stacked(z), separate(z), atol=1e-6)  # float32, another order of summation
    with torch.no_grad():
        for parameter in stacked.parameters():
            parameter.mul_(1.5)
    assert not torch.allclose(stacked(z), separate(z), atol=1e-3)
    stacked.write_back()
    assert torch.allclose(stacked(z), separate(z), atol=1e-6)


def test_convolutional_decoders_are_trained_themselves():
    module = build((1, 8, 8), convolutional=True)
    ensemble = module.ensemble()
    assert isinstance(ensemble, SeparateDecoders)
    assert {id(p) for p in ensemble.parameters()} == {id(p) for p in module.decoders.parameters()}


def test_image_sizes_end_at_one_pixel():
    assert image_sizes((1, 8, 5), 5) == [(8, 5), (4, 3), (2, 2), (1, 1), (1, 1), (1, 1)]


def test_resizing_is_linear_and_keeps_constants():
    resize = Resize((7, 7))
    assert torch.equal(resize(torch.ones(1, 2, 4, 4)), torch.ones(1, 2, 7, 7))
    assert torch.equal(resize(3 * torch.ones(1, 2, 4, 4)), 3 * resize(torch.ones(1, 2, 4, 4)))


def test_multiply_adds_by_hand():
    assert multiply_adds(build((3,), hidden=(4, 5)).decoders[0], 2, (3,)) == 2 * 4 + 4 * 5 + 5 * 3
    decoder = build((1, 4, 4), convolutional=True, hidden=(5,), channels=(2, 3)).decoders[0]  # 1x1x3, then 2x2x2, then 4x4x1
    assert multiply_adds(decoder, 2, (1, 4, 4)) == 2 * 5 + 5 * 3 + 4 * 2 * 27 + 16 * 1 * 18


def test_the_default_convolutional_decoder_stays_below_a_million():
    assert multiply_adds(VAE(convolutional=True).build((1, 28, 28), 0).decoders[0], 2, (1, 28, 28)) < 1_000_000


def test_multiply_adds_of_another_shape_is_an_error_and_leaves_no_hook():
    layer = linear(2, 5, torch.Generator())
    with pytest.raises(ModelError, match="expected \\(6,\\)"):
        multiply_adds(layer, 2, (6,))
    assert not layer._forward_hooks


def test_weights_come_from_the_generator_alone():
    state = torch.get_rng_state()
    first = build((1, 8, 8), convolutional=True).state_dict()
    torch.manual_seed(123)
    second = build((1, 8, 8), convolutional=True).state_dict()
    torch.set_rng_state(state)
    assert all(torch.equal(first[name], second[name]) for name in first)
