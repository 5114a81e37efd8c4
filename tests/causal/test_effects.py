"""Effects of interventions have the lengths of curves in data space, equal in all isomorphic models and in no others."""

import math
import random
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Laplace, MixtureSameFamily, Normal, TransformedDistribution, transforms

import egregium as eg
from egregium.causal import (
    DAG,
    SCM,
    AdditiveNoise,
    CausalEffect,
    Do,
    Flow,
    InterventionLaw,
    LatentCausalModel,
    Linear,
    LocationScale,
    Mechanism,
    NoiseDecoder,
    Orthogonal,
    Perfect,
    Scene,
    causal_effect,
    compare,
    noise_space,
    transported,
)
from egregium.causal.decoders import rotation
from egregium.errors import ModelError, NotConvergedError, OptionError, ShapeError, TensorError, ToleranceError
from egregium.status import Status

CURVED = [
    Linear(),
    AdditiveNoise(lambda p: p[:, 0].tanh()),
    LocationScale(lambda p: p[:, 1] - p[:, 0], lambda p: 0.3 * p[:, 0]),
]
LAW = InterventionLaw.atomic(3, [Normal(0.0, 1.0), Laplace(0.0, 1.0), Normal(0.5, 1.0)])
SOFT = transforms.ComposeTransform([transforms.SoftplusTransform(), transforms.ExpTransform().inv])
NUMBERS = ("length", "lower", "direct", "share")


def flip(scale: float) -> transforms.Transform:
    return transforms.AffineTransform(0.3, scale)


@dataclass(frozen=True)
class Renoised(Mechanism):
    """A mechanism whose noise is counted through a map."""

    mechanism: Mechanism
    map: Any

    def forward(self, noise: Tensor, parents: Tensor) -> Tensor:
        return self.mechanism.forward(self.map.inv(noise), parents)

    def inverse(self, value: Tensor, parents: Tensor) -> Tensor:
        return self.map(self.mechanism.inverse(value, parents))

    def log_derivative(self, noise: Tensor, parents: Tensor) -> Tensor:
        old = self.map.inv(noise)
        return self.mechanism.log_derivative(old, parents) - self.map.log_abs_det_jacobian(old, noise)


def isomorphic(model: LatentCausalModel, permutation: tuple[int, ...], maps: list[Any], noises: list[Any]) -> LatentCausalModel:
    """Variables renamed and carried through maps, and noises through others."""
    scm = model.scm
    mechanisms = [Renoised(f, one) for f, one in zip(scm.mechanisms, noises, strict=True)]
    laws = [TransformedDistribution(law, [one]) for law, one in zip(scm.noise, noises, strict=True)]
    counted = LatentCausalModel(SCM(scm.graph, mechanisms, laws), model.decoder, model.interventions)
    return transported(counted, permutation, maps)


class Rotated:
    """A decoder behind a rotation of the latents."""

    def __init__(self, decoder: Any, turn: Tensor) -> None:
        self.decoder, self.turn = decoder, turn

    def __call__(self, z: Tensor) -> Tensor:
        return self.decoder(z @ self.turn.T)

    def inverse(self, x: Tensor) -> Tensor:
        return self.decoder.inverse(x) @ self.turn


def seen(model: LatentCausalModel, x: Tensor, x_after: Tensor, target: int, **options: Any) -> CausalEffect:
    """The effect that leads from one observation to another, by what a model takes their variables for."""
    return causal_effect(model, model.encode(x), target, model.encode(x_after)[..., target], **options)


def gap(a: CausalEffect, b: CausalEffect, name: str) -> float:
    return float((getattr(a, name) - getattr(b, name)).abs().div(1 if name == "share" else a.length).max())


def helix(slope: float, bent: float = 0.0) -> LatentCausalModel:
    """`z0` goes round a cylinder, and `z1 = slope z0 + bent sin z0 + e1` up."""
    scm = SCM(DAG.chain(2), [Linear(), AdditiveNoise(lambda p: slope * p[:, 0] + bent * p[:, 0].sin())])
    return LatentCausalModel(scm, lambda z: torch.stack([z[:, 0].cos(), z[:, 0].sin(), z[:, 1]], -1))


@pytest.fixture(scope="module")
def model() -> LatentCausalModel:
    return LatentCausalModel(SCM(DAG.full(3), CURVED), Flow(3, 5), LAW)


@pytest.fixture(scope="module")
def ends(model: LatentCausalModel) -> list[tuple[Tensor, Tensor]]:
    """Observations before and after an intervention, for each target."""
    pairs = model.sample(60, generator=torch.Generator().manual_seed(0))
    return [(pairs.x[rows], pairs.x_after[rows]) for rows in pairs.targets.T]


def test_a_helix_is_as_long_as_it_is() -> None:
    effect = causal_effect(helix(2.0), torch.zeros(4, 2).double(), 0, torch.tensor([1.0, -1.0, 3.0, 0.0]).double(), rtol=1e-9)
    moved = torch.tensor([1.0, 1.0, 3.0, 0.0]).double()
    torch.testing.assert_close(effect.length, moved * math.sqrt(5))
    torch.testing.assert_close(effect.direct, moved)
    torch.testing.assert_close(effect.lower, (4 * (moved / 2).sin() ** 2 + 4 * moved**2).sqrt())
    torch.testing.assert_close(effect.share, torch.tensor([0.2, 0.2, 0.2, math.nan]).double(), equal_nan=True)
    assert effect.ok.all() and (effect.lower <= effect.length).all() and (effect.length <= effect.upper).all()


def test_the_error_is_inside_its_bounds_at_every_tolerance() -> None:
    z, value = torch.zeros(1, 2).double(), 6.0
    truth = causal_effect(helix(0.5, 3.0), z, 0, value, rtol=1e-13).length
    for rtol in (1e-1, 1e-3, 1e-5, 1e-8):
        effect = causal_effect(helix(0.5, 3.0), z, 0, value, rtol=rtol)
        assert (effect.length - truth).abs() <= effect.upper - effect.length <= 1.01 * rtol * truth


def test_a_variable_without_descendants_has_its_effect_alone(model: LatentCausalModel) -> None:
    effect = causal_effect(model, model.scm.sample(5, generator=torch.Generator().manual_seed(0)), 2, 1.0)
    torch.testing.assert_close(effect.direct, effect.length)
    torch.testing.assert_close(effect.share, torch.ones(5).double())


def test_what_counteracts_has_a_negative_share() -> None:
    against = torch.tensor([[1.0, 1.0], [0.0, 1.0]]).double()  # the target pushes one way, its descendant three times the other
    model = LatentCausalModel(SCM.linear(torch.tensor([[0.0, -3.0], [0.0, 0.0]])), lambda z: z @ against.T)
    effect = causal_effect(model, torch.zeros(2).double(), 0, 1.0)
    assert effect.share.item() == pytest.approx(-2 / 13) and effect.length.item() == pytest.approx(math.sqrt(13))


def test_the_curve_is_the_counterfactuals(model: LatentCausalModel) -> None:
    z = model.scm.sample(3, generator=torch.Generator().manual_seed(0))
    effect = causal_effect(model, z, 1, 0.7, rtol=1e-8)
    torch.testing.assert_close(effect.decode(1.0), model.decoder(model.scm.counterfactual(z, Do({1: 0.7}))))
    x = effect.decode(torch.linspace(0, 1, 400))
    assert x.shape == (3, 400, 5)
    torch.testing.assert_close(x.diff(dim=1).norm(dim=-1).sum(-1), effect.length, rtol=1e-4, atol=0)
    back = causal_effect(model, model.encode(effect.decode(1.0)), 1, z[:, 1], rtol=1e-8)
    torch.testing.assert_close(back.length, effect.length, rtol=1e-8, atol=0)


@pytest.mark.parametrize("seed", range(2))
def test_isomorphic_models_agree_on_everything(model: LatentCausalModel, ends: list[Any], seed: int) -> None:
    draw = random.Random(seed)
    permutation = draw.sample(range(3), 3)
    scales = [draw.choice([1, -1]) * draw.uniform(0.3, 3.0) for _ in range(6)]
    maps = [transforms.ComposeTransform([flip(scale), SOFT]) if draw.random() < 0.5 else flip(scale) for scale in scales]
    maps, noises = maps[:3], maps[3:]
    other = isomorphic(model, tuple(permutation), maps, noises)
    gaps = {}
    for target, (x, x_after) in enumerate(ends):
        a = seen(model, x[:2], x_after[:2], target, rtol=1e-9)
        b = seen(other, x[:2], x_after[:2], permutation[target], rtol=1e-9)
        gaps.update({(target, name): gap(a, b, name) for name in NUMBERS})
    assert max(gaps.values()) < 1e-8, gaps  # both are known to 1e-9
    print(f"largest gap of isomorphic models: {max(gaps.values()):.1e}")


def test_the_isomorphic_models_are_isomorphic_and_what_is_not_invariant_differs(
    model: LatentCausalModel, ends: list[Any]
) -> None:
    other = isomorphic(model, (2, 0, 1), [flip(-2.0), SOFT, flip(0.5)], [SOFT, flip(-1.5), SOFT])
    assert compare(model, other).ok
    x, x_after = ends[0]
    a, b = seen(model, x, x_after, 0), seen(other, x, x_after, 2)
    moves = [(one.noise_after - one.noise).norm(dim=-1) for one in (a, b)]
    assert ((moves[0] - moves[1]).abs() > 0.1 * moves[0]).any()


def test_rotated_latents_do_not_agree(model: LatentCausalModel, ends: list[Any]) -> None:
    turned = Rotated(model.decoder, rotation(3, torch.Generator().manual_seed(0)))
    other = LatentCausalModel(model.scm, turned, model.interventions)
    x, x_after = ends[0]
    gaps = [gap(seen(model, x, x_after, 0), seen(other, x, x_after, k), "length") for k in range(3)]
    assert min(gaps) > 0.1


def test_a_quantile_turns_around_with_its_variable(model: LatentCausalModel, ends: list[Any]) -> None:
    other = transported(model, (2, 0, 1), [flip(-2.0), SOFT, flip(0.5)])
    for target, (x, _) in enumerate(ends):
        x = x[:3]
        k, z = (2, 0, 1)[target], other.encode(x)
        q = torch.linspace(0.1, 0.7, len(x)).double()
        there = torch.where(eg.indeterminacy(model, other, model.encode(x)).increasing[target] == 1, q, 1 - q)
        a = causal_effect(model, model.encode(x), target, quantile=q, rtol=1e-6)
        assert gap(a, causal_effect(other, z, k, quantile=there, rtol=1e-6), "length") < 1e-5
        same = torch.equal(there, q)
        assert same == (target != 0)
        assert (gap(a, causal_effect(other, z, k, quantile=q, rtol=1e-6), "length") < 1e-5) == same


def test_distances_in_noises_are_invariant_and_below_the_effect(model: LatentCausalModel, ends: list[Any]) -> None:
    other = isomorphic(model, (2, 0, 1), [flip(-2.0), SOFT, flip(0.5)], [SOFT, flip(-1.5), SOFT])
    x, x_after = (one[:2] for one in ends[0])
    a, b = seen(model, x, x_after, 0), seen(other, x, x_after, 2)
    here, there = a.geodesic(rtol=1e-6), b.geodesic(rtol=1e-6)
    torch.testing.assert_close(here.length, there.length, rtol=1e-5, atol=0)
    assert (a.length >= here.length * (1 - 1e-4)).all() and (a.length > 1.01 * here.length).any()


def test_the_metric_of_noises_is_one_tensor(model: LatentCausalModel) -> None:
    other = isomorphic(model, (2, 0, 1), [flip(-2.0), SOFT, flip(0.5)], [SOFT, flip(-1.5), SOFT])
    noise = model.scm.sample_noise(5, generator=torch.Generator().manual_seed(0))
    there = NoiseDecoder(other).inverse(NoiseDecoder(model)(noise))
    J = torch.stack([torch.autograd.functional.jacobian(_through(model, other), one) for one in noise])
    torch.testing.assert_close(noise_space(model).metric(noise), J.mT @ noise_space(other).metric(there) @ J)


def _through(model: LatentCausalModel, other: LatentCausalModel) -> Any:
    return lambda e: NoiseDecoder(other).inverse(NoiseDecoder(model)(e[None]))[0]


def test_effects_do_not_depend_on_their_batch(model: LatentCausalModel) -> None:
    z = 2 * model.scm.sample(6, generator=torch.Generator().manual_seed(0)).reshape(2, 3, 3)
    value = torch.linspace(-1, 1, 6).double().reshape(2, 3)
    whole, one = causal_effect(model, z, 0, value), causal_effect(model, z[1, 2], 0, value[1, 2])
    assert whole.length.shape == (2, 3) and one.length.shape == () and whole.noise.shape == (2, 3, 3)
    for name in NUMBERS:
        assert getattr(whole, name)[1, 2].item() == pytest.approx(getattr(one, name).item(), rel=1e-12)
    assert repr(whole).startswith("CausalEffect(of variable 0, batch (2, 3), length") and repr(whole).endswith("6 CONVERGED)")


def test_a_chart_measures_in_its_units() -> None:
    plain = causal_effect(helix(1.0), torch.zeros(2).double(), 0, 1.0)
    assert causal_effect(helix(1.0), torch.zeros(2).double(), 0, 1.0, chart=eg.charts.Gaussian(0.5)).length.item() == (
        pytest.approx(2 * plain.length.item())
    )


def test_a_scene_works_in_single_precision() -> None:
    scene = Scene(16)
    model = LatentCausalModel(scene.scm, scene)
    z = torch.zeros(2, 4)
    effect = causal_effect(model, z, 0, torch.tensor([0.5, 1.0]))
    assert effect.length.dtype == torch.float32 and effect.ok.all() and (effect.length > effect.lower).all()
    truth = causal_effect(model, z.double(), 0, torch.tensor([0.5, 1.0]).double())
    torch.testing.assert_close(effect.length.double(), truth.length, rtol=1e-4, atol=0)


def test_a_number_that_is_not_known_is_not_returned() -> None:
    rough = LatentCausalModel(
        SCM.linear(torch.zeros(2, 2)), lambda z: torch.stack([z[:, 0], z[:, 1] + (3e4 * z[:, 0]).sin()], -1)
    )
    z = torch.zeros(2, 2).double()
    with pytest.raises(NotConvergedError, match=r"1 of 2 effects .* 1 MAX_STEPS") as error:
        causal_effect(rough, z, 0, torch.tensor([0.0, 1.0]).double(), rtol=1e-9)
    assert isinstance(error.value.result, CausalEffect)
    gone = LatentCausalModel(SCM.linear(torch.zeros(2, 2)), lambda z: torch.stack([z[:, 0], z[:, 1] + (1 - z[:, 0]).log()], -1))
    effect = causal_effect(gone, z, 0, torch.tensor([0.5, 2.0]).double(), on_fail="mark")
    assert effect.status.tolist() == [Status.CONVERGED, Status.NONFINITE] and effect.length[1].isnan()


def test_bad_input_is_refused_in_words(model: LatentCausalModel) -> None:
    z = torch.zeros(2, 3).double()
    for options, error, words in [
        ({"target": 3, "value": 0.0}, OptionError, "variables 0 to 2; got the target 3"),
        ({"target": 0}, OptionError, "give one of them"),
        ({"target": 0, "value": 1.0, "quantile": 0.5}, OptionError, "give one of them"),
        ({"target": 0, "value": torch.zeros(3).double()}, ShapeError, r"value must be a number, or \(2,\)"),
        ({"target": 0, "value": math.nan}, TensorError, "NaN"),
        ({"target": 0, "quantile": 1.0}, OptionError, "between 0 and 1"),
        ({"target": 0, "value": 1.0, "rtol": 1e-16}, ToleranceError, "rtol"),
        ({"target": 0, "value": 1.0, "on_fail": "hide"}, OptionError, "on_fail"),
    ]:
        with pytest.raises(error, match=words):
            causal_effect(model, z, **options)
    with pytest.raises(ShapeError, match=r"\(\*batch, 3\)"):
        causal_effect(model, z[:, :2], 0, 1.0)
    with pytest.raises(ModelError, match="lost its noise"):
        causal_effect(LatentCausalModel(model.scm.intervene(Do({0: 1.0})), model.decoder), z, 1, 1.0)


def test_quantiles_are_of_one_law_that_has_them(model: LatentCausalModel) -> None:
    z = torch.zeros(2, 3).double()
    mixed = MixtureSameFamily(torch.distributions.Categorical(torch.ones(2)), Normal(torch.zeros(2), torch.ones(2)))
    for interventions, words in [
        ((None, Perfect({0: mixed})), "torch knows no quantiles"),
        ((None, Perfect({1: Normal(0.0, 1.0)})), "this model has 0"),
        ((Perfect({0: Normal(0.0, 1.0)}), Perfect({0: Normal(0.0, 2.0)})), "this model has 2"),
    ]:
        with pytest.raises(OptionError, match=words):
            causal_effect(LatentCausalModel(model.scm, model.decoder, InterventionLaw(interventions)), z, 0, quantile=0.5)


def test_values_that_a_variable_cannot_take_are_refused() -> None:
    chain = LatentCausalModel(SCM.linear(torch.tensor([[0.0, 1.0], [0.0, 0.0]])), Orthogonal(torch.eye(2)))
    model = transported(chain, (0, 1), [transforms.identity_transform, transforms.ExpTransform()])  # z1 > 0
    z = torch.tensor([[0.0, 1.0]]).double()
    assert causal_effect(model, z, 1, 2.0).length.item() == pytest.approx(math.log(2))
    with pytest.raises(OptionError, match=r"z1 takes no value -2\.0"):
        causal_effect(model, z, 1, -2.0)


def test_linear_models_are_as_their_matrices_say() -> None:
    weights = torch.tensor([[0.0, 1.5, 0.5], [0.0, 0.0, -0.8], [0.0, 0.0, 0.0]]).double()
    model = LatentCausalModel(SCM.linear(weights), Orthogonal.random(3, 6, generator=torch.Generator().manual_seed(0)))
    columns = torch.linalg.inv(torch.eye(3).double() - weights)  # row i: what a unit of noise i makes of all variables
    for i in range(3):
        effect = causal_effect(model, torch.zeros(3).double(), i, 2.0)
        assert effect.length.item() == pytest.approx(2 * columns[i].norm().item())
        assert effect.share.item() == pytest.approx(1 / columns[i].square().sum().item())
