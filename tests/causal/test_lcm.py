"""Latent causal models: pairs, the lemma of noise encodings, and exact densities on strata."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.distributions import AffineTransform, Exponential, Laplace, Normal, TransformedDistribution, Uniform

from egregium.causal import SCM, Do, Flow, InterventionLaw, LatentCausalModel, Orthogonal, Perfect, Soft
from egregium.causal.mechanisms import Linear
from egregium.errors import ModelError, OptionError, ShapeError, TensorError

WEIGHTS = torch.tensor([[0.0, 1.5, -0.7], [0, 0, 0.8], [0, 0, 0]], dtype=torch.float64)
DECODERS = {"rotation": Orthogonal.random(3), "tall": Orthogonal.random(3, 6), "flow": Flow(3, 5)}


@pytest.fixture(params=DECODERS.values(), ids=list(DECODERS))
def model(request: pytest.FixtureRequest) -> LatentCausalModel:
    return LatentCausalModel(SCM.linear(WEIGHTS, Laplace(0.0, 1.0)), request.param)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_decoders_are_inverted(model: LatentCausalModel) -> None:
    pairs = model.sample(50, generator=generator())
    assert torch.allclose(model.encode(pairs.x), pairs.z, rtol=0, atol=1e-11)


def test_noise_encodings_differ_in_the_target_alone(model: LatentCausalModel) -> None:
    pairs = model.sample(300, generator=generator())
    moved = (pairs.noise_encoding - pairs.noise).abs()
    assert torch.equal(moved > 1e-9, pairs.targets) and pairs.targets.sum(-1).max() == 1
    assert float(moved[~pairs.targets].max()) < 1e-12
    assert torch.equal(model.strata(pairs.x, pairs.x_after), pairs.targets)


def test_density_of_pairs_through_a_rotation_in_closed_form() -> None:
    """Of p(z), p(I) and the law of the intervened value, over the length of what moves with it: its total effects."""
    model = LatentCausalModel(SCM.linear(WEIGHTS), Orthogonal.random(3, generator=generator()))
    pairs = model.sample(200, generator=generator())
    effects = torch.linalg.inv(torch.eye(3) - WEIGHTS)  # row i: what a unit of i adds to each
    moved = Normal(0.0, 1.0).log_prob(pairs.z_after) - effects.norm(dim=-1).log()
    expected = model.scm.log_prob(pairs.z) + math.log(1 / 4) + torch.where(pairs.targets, moved, 0.0).sum(-1)
    assert torch.allclose(model.log_prob(pairs.x, pairs.x_after), expected, rtol=1e-10)


def test_densities_integrate_to_one_over_each_stratum() -> None:
    """Along the curve that one intervention moves, by its length."""
    law = InterventionLaw.atomic(2, probabilities=(0.2, 0.3, 0.5))
    model = LatentCausalModel(SCM.linear(WEIGHTS[:2, :2]), Flow(2, 3), law)
    z = torch.tensor([[0.3, -0.4]]).double()
    x, e = model.decoder(z), torch.linspace(-9, 9, 4001).double()
    for i, probability in ((0, 0.3), (1, 0.5)):
        noise = model.scm.abduct(z).expand(len(e), -1).clone()
        noise[:, i] = e
        x_after = model.decoder(model.scm.intervene(Perfect({i: Normal(0.0, 1.0)})).resolved(z.expand(len(e), -1), noise, [i]))
        density = (model.log_prob(x.expand_as(x_after), x_after) - model.log_prob(x, x) + math.log(0.2)).exp()
        steps = (x_after[1:] - x_after[:-1]).norm(dim=-1)
        assert float(((density[1:] + density[:-1]) / 2 * steps).sum()) == pytest.approx(probability, rel=1e-4)


def test_several_targets_and_soft_interventions_have_densities() -> None:
    soft = Soft({2: Linear((0.0, 2.0))}, noise={2: Normal(0.0, 1.0)})
    law = InterventionLaw((None, Perfect({0: Normal(0.0, 1.0), 1: Normal(0.0, 2.0)}), soft))
    model = LatentCausalModel(SCM.linear(WEIGHTS), Flow(3, 4), law)
    pairs = model.sample(60, generator=generator())
    assert torch.isfinite(model.log_prob(pairs.x, pairs.x_after)).all()
    assert model.log_prob(pairs.x, pairs.x_after.roll(1, 0)).eq(-torch.inf).any()  # that no intervention makes
    assert "z0, a perfect one on z1, a perfect one on z2" in model.identifiable()


def test_pairs_are_drawn_again_bit_by_bit(model: LatentCausalModel) -> None:
    first, second = (model.sample(20, generator=generator(5)) for _ in range(2))
    assert torch.equal(first.x_after, second.x_after) and not model.identifiable()
    assert len(first[:7]) == 7 and first.to(torch.float32).x.dtype == torch.float32


def test_bad_input_is_refused_in_words(model: LatentCausalModel) -> None:
    x = model.sample(5).x
    with pytest.raises(ShapeError, match="pairs have equal shapes"):
        model.log_prob(x, x[:4])
    with pytest.raises(TensorError, match="NaN"):
        model.log_prob(x, x * torch.nan)
    with pytest.raises(OptionError, match="full support"):
        InterventionLaw((None, Perfect({0: Normal(0.0, 1.0)})), (1.0, 0.0))
    with pytest.raises(OptionError, match="sum to 1"):
        InterventionLaw.atomic(2, probabilities=(0.5, 0.4, 0.4))
    with pytest.raises(OptionError, match="intervention on 3"):
        LatentCausalModel(model.scm, model.decoder, InterventionLaw.atomic(4))
    with pytest.raises(ModelError, match="a method `inverse`"):
        LatentCausalModel(model.scm, lambda z: z).encode(x)
    with pytest.raises(ModelError, match="draw the noise of all their targets"):
        done = LatentCausalModel(model.scm, model.decoder, InterventionLaw((Do({0: 0.1}),)))
        pairs = done.sample(3)
        done.log_prob(pairs.x, pairs.x_after)
    with pytest.raises(TensorError, match="orthonormal"):
        Orthogonal(torch.ones(2, 2))


MODEL = LatentCausalModel(SCM.linear(WEIGHTS), Orthogonal.random(3, 6))
X = MODEL.sample(4, generator=generator()).x
WRONG: dict[str, tuple[type[Exception], str, Callable[[Any], object]]] = {
    "no draws": (OptionError, "1 or more; got 0", lambda m: m.sample(0)),
    "negative draws": (OptionError, "1 or more; got -1", lambda m: m.sample(-1)),
    "halves": (TensorError, "float32 or float64", lambda m: m.log_prob(X.half(), X.half())),
    "two dtypes": (TensorError, "one dtype", lambda m: m.log_prob(X.float(), X)),
    "one number a row": (ShapeError, r"\(N, \*out\)", lambda m: m.log_prob(X[0], X[0])),
    "another width": (ShapeError, r"\(\*batch, 6\)", lambda m: m.log_prob(X[:, :5], X[:, :5])),
    "a tolerance of NaN": (OptionError, "rtol is a finite", lambda m: m.strata(X, X, rtol=math.nan)),
    "no decoder": (ModelError, "a decoder to call", lambda m: LatentCausalModel(m.scm, None)),  # type: ignore[arg-type]
    "another decoder": (ModelError, "3 variables and its decoder 2", lambda m: LatentCausalModel(m.scm, Flow(2, 4))),
    "no law": (ModelError, "an InterventionLaw", lambda m: LatentCausalModel(m.scm, m.decoder, 3)),  # type: ignore[arg-type]
    "an empty law": (OptionError, "one or more interventions", lambda _: InterventionLaw(())),
    "a number for laws": (OptionError, "one law or 2", lambda _: InterventionLaw.atomic(2, 3)),  # type: ignore[arg-type]
    "words": (OptionError, "probabilities; got", lambda _: InterventionLaw.atomic(1, probabilities=("a", "b"))),  # type: ignore[arg-type]
    "whole numbers": (TensorError, "real numbers", lambda _: Orthogonal.random(2, 5)(torch.ones(3, 2).long())),
    "narrow": (OptionError, "n <= width", lambda _: Orthogonal.random(3, 2)),
    "another n": (ShapeError, r"\(\*batch, 2\)", lambda _: Orthogonal.random(2, 5)(X)),
    "another n of a flow": (ShapeError, r"\(\*batch, 2\)", lambda _: Flow(2, 4)(X)),
    "another width of a flow": (ShapeError, r"\(\*batch, 4\)", lambda _: Flow(2, 4).inverse(X)),
    "a strength of NaN": (OptionError, "finite strength", lambda _: Flow(2, 4, strength=math.nan)),
}


@pytest.mark.parametrize(("error", "words", "call"), WRONG.values(), ids=list(WRONG))
def test_what_has_no_answer_is_refused(error: type[Exception], words: str, call: Callable[[Any], object]) -> None:
    with pytest.raises(error, match=words):
        call(MODEL)


def test_flows_answer_in_the_dtype_that_they_are_given() -> None:
    z = torch.randn(5, 2, generator=generator())
    x = Flow(2, 4)(z)
    assert x.dtype == torch.float32 and torch.allclose(Flow(2, 4).inverse(x), z, atol=1e-5)


@pytest.mark.parametrize("decoder", [DECODERS["tall"], DECODERS["flow"]], ids=["tall", "flow"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_observations_off_the_image_have_no_density(decoder: Any, dtype: torch.dtype) -> None:
    model = LatentCausalModel(SCM.linear(WEIGHTS), decoder)
    x = model.sample(20, generator=generator()).x.to(dtype)
    assert torch.isfinite(model.log_prob(x, x)).all()  # rounding moves none
    assert model.log_prob(x + 0.1, x + 0.1).eq(-torch.inf).all()


@pytest.mark.parametrize(
    "law",
    [Exponential(1.0), Uniform(-9.0, 9.0), TransformedDistribution(Exponential(1.0), [AffineTransform(0.0, 2.0)])],
    ids=["half", "interval", "stretched half"],
)
def test_laws_on_a_part_of_the_line_have_no_full_support(law: Any) -> None:
    found = LatentCausalModel(MODEL.scm, MODEL.decoder, InterventionLaw.atomic(3, [Normal(0.0, 1.0), law, Laplace(0.0, 1.0)]))
    assert "full support on the line; those of z1 have none" in found.identifiable() and not MODEL.identifiable()
