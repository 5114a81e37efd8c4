"""Latent spaces of VAEs: posteriors that match, divergences, learned curvatures, models that train and are measured."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import egregium as eg
from egregium.errors import ModelError, OptionError
from egregium.models.checkpoint import load, load_model, save
from egregium.models.latents import Latent, family
from egregium.models.optimisation import train
from egregium.models.vae import VAE
from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Hyperbolic, Product, Scaled, Sphere, Torus

FACTORS = Product(Sphere(2), Product(Hyperbolic(2), Torus(1)), Euclidean(2))
SPACES = [
    Euclidean(2), Sphere(1), Sphere(3), Hyperbolic(2, curvature=-0.5), Torus(2), ConstantCurvature(2, 0.3),
    Scaled(Sphere(2), 2.0), Scaled(Hyperbolic(2), 2.0), Scaled(Torus(1), 2.0), FACTORS,
]  # fmt: skip
SMALL = VAE(decoders=2, hidden=(8,), epochs=2, batch_size=20, sigma=0.3)


def observations(count: int = 120) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    u = Sphere(2).random(count, generator=generator)
    return torch.tanh(u @ torch.randn(3, 9, generator=generator)) + 0.1 * torch.randn(count, 9, generator=generator)


@pytest.mark.parametrize("posterior", ["natural", "wrapped-normal", "von-mises-fisher"])
@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_draws_lie_on_the_space_and_divergences_are_those_of_the_densities(space: Explicit, posterior: str) -> None:
    one = family(space, posterior)  # type: ignore[arg-type]
    h = torch.randn(1, one.numbers, generator=torch.Generator().manual_seed(3)).requires_grad_()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        z, divergence = one.drawn(h.expand(4000, -1))
    q, p = one.posterior(h), one.prior((1,))
    space.require_inside(z)
    assert z.shape == (4000, space.width) and divergence.shape == (4000,) and one.place(h).shape == (1, space.width)
    space.require_inside(one.place(h))
    ratio, divergence = (q.log_prob(z) - p.log_prob(z)).detach().double(), divergence.double()
    error = ratio.std() / math.sqrt(len(ratio)) + 1e-4
    assert abs(float(divergence.detach().mean() - ratio.mean())) < 4.5 * float(error)
    assert torch.autograd.grad((z.sum() + divergence.sum()), h)[0].isfinite().all()


def test_a_draw_of_a_wrapped_normal_knows_its_density() -> None:
    for space in (Hyperbolic(3), Euclidean(2), Sphere(2), Product(Hyperbolic(2), Torus(1)), Scaled(Hyperbolic(2), 0.5)):
        loc = space.random(5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        q = eg.distributions.WrappedNormal(space, loc, torch.full((5, space.dim), 0.7).double())
        x, known = q.rsample_with_log_prob((3,))
        torch.testing.assert_close(known, q.log_prob(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_a_specification_trains_and_comes_back(space: Explicit, tmp_path) -> None:
    spec = replace(SMALL, latent=space)
    assert VAE.from_json(spec.to_json()) == spec and hash(VAE.from_json(spec.to_json())) == hash(spec)
    x = observations()
    module, history = train(spec, x, seed=1)
    again, _ = train(spec, x, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(module.state_dict().values(), again.state_dict().values(), strict=True))
    save(tmp_path / "model.safetensors", module, spec, (9,), 1, history)
    assert load(tmp_path).spec == spec
    model = load_model(tmp_path)
    z = model.encode(x[:5])
    assert torch.equal(z, module.mean(x[:5])) and model.posterior is not None
    assert model.posterior(x[:5]).sample((2,)).shape == (2, 5, space.width)
    assert (model.base is None) == isinstance(space, Euclidean) and model.identity() == load_model(tmp_path).identity()
    chord = eg.chord(eg.Pullback(list(model.decoders), base=model.base), z[:2], z[2:4])
    assert chord.isfinite().all() and (chord > 0).all()


def test_euclidean_spaces_are_numbers() -> None:
    assert VAE(latent=Euclidean(3)) == VAE(latent=3) and VAE(latent=3).space == Euclidean(3)


@pytest.mark.parametrize("start", [Hyperbolic(2, curvature=-2.0), ConstantCurvature(2, 0.0)], ids=repr)
def test_curvatures_are_learned(start: Explicit, tmp_path) -> None:
    spec = replace(SMALL, latent=Product(start, Sphere(1)), learn_curvature=True, lr=0.05)
    module, history = train(spec, observations(), seed=0)
    found = module.latent.space.factors[0].curvature.item()  # type: ignore[union-attr]
    assert found != pytest.approx(plain := float(start.curvature), abs=1e-3) and (found < 0 or plain == 0)  # type: ignore[attr-defined]
    save(tmp_path / "model.safetensors", module, spec, (9,), 0, history)
    assert load_model(tmp_path).base.factors[0].curvature == pytest.approx(found)  # type: ignore[union-attr]
    assert not list(Latent(Product(Sphere(2), Torus(1)), learned=True).parameters())


def test_the_weight_of_the_divergence_rises() -> None:
    x = observations()
    (_, plain), (_, slow) = (train(replace(SMALL, epochs=5, latent=Sphere(2), beta_warmup=k), x, seed=0) for k in (0, 3))
    assert slow["train"][0] < plain["train"][0] and slow["held_out"][0] != plain["held_out"][0]


def test_studies_and_checks_measure_on_the_latent_space() -> None:
    x = observations()
    models = eg.fit(replace(SMALL, latent=Sphere(2), epochs=10, lr=0.01), x, seeds=2, workers=1, progress=False)
    table = eg.Study(models, x[:20], pairs=2, relations=["geodesic", "density", "euclidean"]).run()
    assert set(table.endpoint) == {"encoder", "projection"} and table.value.notna().all()
    assert eg.check(models[0], x)["rank"].value < 100
    assert eg.indeterminacy(models[0], models[1], models[0].encode(x[:3])).stretch.shape == (3, 2)


def test_a_density_on_the_latent_space_is_carried_to_the_surface() -> None:
    """On a sphere of radius 3 in data space, the uniform density of directions is uniform."""
    space = eg.Pullback(lambda u: 3 * u, base=Sphere(2))
    z = Sphere(2).random(5, dtype=torch.float64)
    found = eg.log_density(space, z, eg.distributions.Uniform(Sphere(2), dtype=torch.float64))
    torch.testing.assert_close(found, torch.full((5,), -math.log(4 * math.pi * 9)).double())
    plane = eg.Pullback(lambda z: 2 * z, base=Hyperbolic(2))
    w = torch.tensor([[1.0, 0.5]]).double()
    p = eg.distributions.WrappedNormal(Hyperbolic(2), torch.zeros(2).double(), 1.0)
    expected = -0.5 * w.square().sum(-1) - math.log(2 * math.pi) - 2 * math.log(2)  # Gaussian in normal coordinates
    torch.testing.assert_close(eg.log_density(plane, w, p), expected)


def test_priors_on_a_base_are_its_own() -> None:
    """Without a prior given; and mixtures are densities against the volume of their parts."""
    model = eg.LatentModel(torch.nn.Identity(), torch.nn.Identity(), base=Sphere(2))
    assert isinstance(model.prior, eg.distributions.Uniform)
    space, z = eg.Pullback(lambda z: 2 * z, base=Hyperbolic(2)), torch.tensor([[1.0, 0.5], [0.1, -2.0]]).double()
    p = eg.distributions.WrappedNormal(Hyperbolic(2), torch.zeros(1, 2).double(), 0.7)
    one = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(torch.ones(1).double()), p)
    torch.testing.assert_close(eg.log_density(space, z, one), eg.log_density(space, z, p))  # type: ignore[arg-type]


def test_training_does_not_stop_while_the_weight_rises() -> None:
    _, history = train(replace(SMALL, epochs=9, beta_warmup=6, patience=1, lr=0.05), observations(), seed=0)
    assert len(history["train"]) >= 7 and history["best_epoch"][0] >= 7


def test_scaled_products_are_products_of_scaled_factors() -> None:
    assert type(family(Scaled(Product(Sphere(2), Euclidean(1)), 2.0))).__name__ == "Several"
    with pytest.raises(OptionError, match="p=2"):
        VAE(latent=Scaled(Product(Sphere(2), Euclidean(1), p=1), 2.0))


def test_checks_go_round_a_base() -> None:
    """A circle across the seam of its angles, and antipodal codes on a sphere."""
    around = torch.linspace(-3.14, 3.14, 60)[:, None]
    circle = eg.LatentModel(
        lambda x: torch.atan2(x[:, 1:2], x[:, :1]), lambda e: torch.cat([e, 0 * e[:, :1]], -1), base=Torus(1)
    )
    assert eg.check(circle, torch.cat([around.cos(), around.sin(), 0 * around], -1))["injective"].holds is None
    u = torch.cat([one := Sphere(2).random(8, generator=torch.Generator().manual_seed(0)).double(), -one]).reshape(2, 8, 3)
    ball = eg.LatentModel(lambda x: x[:, :3], lambda e: torch.cat([e, e[:, :1] ** 2], -1), base=Sphere(2))
    assert eg.check(ball, torch.cat([u.transpose(0, 1).reshape(16, 3), torch.zeros(16, 1)], -1))["smooth"].holds


def test_refusals() -> None:
    with pytest.raises(OptionError, match="learn_curvature"):
        VAE(latent=Sphere(2), learn_curvature=True)
    with pytest.raises(OptionError, match="beta_warmup"):
        VAE(beta_warmup=10, epochs=10)
    with pytest.raises(OptionError, match="sigma"):
        VAE.from_json(VAE().to_json() | {"sigma": 10**400})
    with pytest.raises(OptionError, match="curvature"):
        VAE.from_json(VAE().to_json() | {"latent": {"kind": "Sphere", "n": 2, "curvature": 10**400}})
    assert hash(VAE(latent=Sphere(2, 1))) == hash(VAE(latent=Sphere(2, 1.0)))
    with pytest.raises(OptionError, match="Product with p=2"):
        VAE(latent=Product(Sphere(2), Sphere(2), p=1))
    with pytest.raises(OptionError, match="explicit space"):
        VAE(latent="S2")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="posterior"):
        VAE(latent=Sphere(2), posterior="gaussian")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="no geometry"):
        VAE(latent=Sphere(10)).build((4,), 0)
    with pytest.raises(ModelError, match="explicit space"):
        eg.LatentModel(torch.nn.Identity(), torch.nn.Identity(), base="sphere")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="event shape"):
        eg.LatentModel(torch.nn.Identity(), torch.nn.Identity(), base=Sphere(2), prior=eg.distributions.Uniform(Sphere(3)))
