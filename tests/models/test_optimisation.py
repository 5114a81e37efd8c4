"""Laws of one training: it learns, it repeats itself exactly, it stops on held-out data, it leaves torch as it was."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from egregium.errors import ModelError, TensorError
from egregium.models.nets import SeparateDecoders
from egregium.models.optimisation import HELD_OUT_SEED, divide, schedule, train
from egregium.models.vae import VAE, negative_elbo

SMALL = VAE(latent=2, decoders=2, hidden=(8,), channels=(2, 3), epochs=4, batch_size=32, sigma=0.3, lr=1e-2)
VARIANTS = [
    SMALL,
    replace(SMALL, split_batches=False),
    replace(SMALL, likelihood="bernoulli"),
    replace(SMALL, convolutional=True),
    replace(SMALL, optimizer="adamax", convolutional=True, split_batches=False),
    replace(SMALL, decoders=1, warmup=0),
    replace(SMALL, decoders=5, batch_size=7),
]


def ring(n: int = 100) -> torch.Tensor:
    """Blurred spots on a ring: images (n, 1, 6, 6) in [0, 1]."""
    t = torch.linspace(0, 6.2, n)
    y, x = torch.meshgrid(torch.arange(6.0), torch.arange(6.0), indexing="ij")
    centre = 2.5 + 1.5 * torch.stack([t.cos(), t.sin()], 1)[:, :, None, None]
    return torch.exp(-0.5 * ((y - centre[:, 0]).square() + (x - centre[:, 1]).square()))[:, None]


@pytest.mark.parametrize("spec", VARIANTS)
def test_equal_seeds_give_equal_weights_and_others_do_not(spec):
    (a, history), (b, again), (c, _) = (train(spec, ring(), seed=seed) for seed in (3, 3, 4))
    assert history == again
    for name, weight in a.state_dict().items():
        assert torch.equal(weight, b.state_dict()[name])
        assert not torch.equal(weight, c.state_dict()[name])


def test_nothing_global_changes_or_matters():
    rng, threads = torch.get_rng_state(), torch.get_num_threads()
    x = ring()
    first, _ = train(SMALL, x, seed=0)
    assert torch.equal(torch.get_rng_state(), rng) and torch.get_num_threads() == threads
    try:
        torch.manual_seed(99)
        torch.set_num_threads(2)
        torch.set_default_dtype(torch.float64)
        with torch.no_grad():
            second, _ = train(SMALL, x.double(), seed=0)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_rng_state(rng)
        torch.set_num_threads(threads)
        torch.set_default_dtype(torch.float32)
    for name, weight in first.state_dict().items():
        assert weight.dtype == torch.float32 and torch.equal(weight, second.state_dict()[name])


@pytest.mark.parametrize("spec", VARIANTS)
def test_the_weights_of_the_best_epoch_are_restored(spec):
    module, history = train(replace(spec, epochs=8, lr=0.1, patience=3), ring(), seed=0)
    losses, best = history["held_out"], int(history["best_epoch"][0])
    assert losses[best - 1] == min(losses) and losses.index(min(losses)) == best - 1
    assert len(history["train"]) == len(losses) == min(8, best + 3)
    _, held_out = divide(spec, ring())
    split = spec.split_batches
    rows = len(held_out) - len(held_out) % (spec.decoders if split else 1)
    torch.manual_seed(HELD_OUT_SEED)
    again = negative_elbo(spec, module, SeparateDecoders(module.decoders), held_out[:rows], split=split)
    assert float(again) == pytest.approx(min(losses), rel=1e-4)  # float32, another order of summation


def test_held_out_observations_teach_nothing_and_are_the_same_for_every_seed():
    x = ring()
    learned, held_out = divide(SMALL, x)
    assert len(held_out) == 10 and len(learned) == 90
    assert sorted(torch.cat([learned, held_out]).flatten(1).sum(1).tolist()) == sorted(x.flatten(1).sum(1).tolist())
    changed = torch.where((x[:, None] == held_out).flatten(2).all(2).any(1)[:, None, None, None], 1 - x, x)
    assert not torch.equal(changed, x)
    spec = replace(SMALL, epochs=1)  # with one epoch there is nothing to select
    (a, first), (b, second) = (train(spec, data, seed=0) for data in (x, changed))
    assert first["train"] == second["train"] and first["held_out"] != second["held_out"]
    assert all(torch.equal(weight, b.state_dict()[name]) for name, weight in a.state_dict().items())


@pytest.mark.parametrize("convolutional", [False, True])
def test_it_learns(convolutional):
    x = ring(200)
    module, history = train(replace(SMALL, epochs=40, convolutional=convolutional, sigma=0.1), x, seed=0)
    assert not module.training and not any(p.requires_grad for p in module.parameters())
    with torch.no_grad():
        z = module.mean(x)
        errors = [float((decoder(z) - x).square().mean() / x.var(0).mean()) for decoder in module.decoders]
    assert min(history["held_out"]) < 0.5 * history["held_out"][0]
    assert max(errors) < 0.5  # a spot on a ring is two-dimensional; the mean image leaves 1


def test_progress_is_reported():
    told = []
    train(SMALL, ring(), seed=0, report=told.append)
    assert [info["done"] for info in told] == [1, 2, 3, 4]
    assert all(info["total"] == 4 and info["loss"] > 0 for info in told)


def test_tiny_data_with_fewer_held_out_than_decoders():
    spec = replace(SMALL, decoders=3, batch_size=4)
    _, history = train(spec, ring(8), seed=0)
    assert len(history["held_out"]) == 4


def test_the_schedule_warms_up_and_ends_at_zero():
    rates = [schedule(step, 200, 1000) for step in range(200)]  # a warm-up longer than the training is cut to a tenth
    assert rates[:20] == pytest.approx([(k + 1) / 20 for k in range(20)])
    assert max(rates) == 1 and rates[-1] < 1e-3 and all(a >= b for a, b in pairwise(rates[20:]))
    assert schedule(0, 1, 100) == 1


def test_a_loss_that_overflows_is_an_error_that_says_where():
    with pytest.raises(ModelError, match=r"seed 7 failed in epoch 1: the loss became (inf|nan).*sigma"):
        train(SMALL, 1e25 * torch.ones_like(ring()), seed=7)


def test_an_infinite_gradient_is_an_error_too():
    with pytest.raises(ModelError, match="epoch 1"):
        train(replace(SMALL, sigma=1e-3), 3e15 * torch.ones_like(ring()), seed=0)


@pytest.mark.parametrize(
    ("x", "sentence"),
    [
        (torch.zeros(3, 4), "3 observations"),
        (torch.zeros(0, 4), "0 observations"),
        (torch.zeros(50), r"of shape \(50,\)"),
        (torch.zeros(50, 4, dtype=torch.complex64), "complex64"),
        (torch.zeros(50, 0), "50 observations"),
        ([[1.0]], "got list"),
        (torch.full((50, 4), float("nan")), "50 of 50"),
        (torch.full((50, 4), 1e300, dtype=torch.float64), "in float32"),
        (torch.full((50, 4), 255), r"from 255 to 255"),
        (torch.full((50, 4), -0.1), "gaussian"),
    ],
)
def test_data_that_cannot_be_trained_on(x, sentence):
    with pytest.raises(TensorError, match=sentence):
        train(replace(SMALL, likelihood="bernoulli"), x, seed=0)


def test_data_far_wider_than_the_noise_are_refused_before_training():
    with pytest.raises(TensorError, match="standardize"):
        train(SMALL, 100 * ring(), seed=0)
