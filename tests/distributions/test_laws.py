"""What every density keeps: shapes, support, float32, gradients; draws that fit the density and move as its mass does."""

import math
from collections.abc import Callable

import pytest
import torch
from tests.distributions.instances import ALL, Instance, points
from torch import Tensor
from torch.distributions import Categorical, Independent, MixtureSameFamily

from egregium.distributions import RiemannianNormal, Uniform, VonMisesFisher, WrappedNormal
from egregium.distributions.on_space import OnSpace
from egregium.errors import OptionError, ShapeError, TensorError
from egregium.spaces import Explicit, Hyperbolic, Product, Scaled, Sphere

DRAWS = 8_000
LIKELY = 4.8  # standard errors: of some 300 statistics none is farther off, but for one in 2000 tries
PARAMETRIC = [one for one in ALL if one.parameters]


def with_gradients(one: Instance) -> dict[str, Tensor]:
    return {name: value.clone().requires_grad_() for name, value in one.parameters.items()}


def errors_off(terms: Tensor) -> float:
    """How many standard errors the means of the rows of `terms` are off zero, at most."""
    terms = terms.reshape(len(terms), -1)
    error = terms.std(0) / math.sqrt(len(terms))
    off = terms.mean(0).abs()
    return float((off / error.clamp_min(1e-12)).max())


@pytest.mark.parametrize("one", ALL, ids=repr)
def test_shapes(one: Instance) -> None:
    p, batch, width = one(), one().batch_shape, one.space.width
    assert p.event_shape == (width,) and p.has_rsample and repr(p).startswith(type(p).__name__)
    for shape in ((), (5,), (2, 3)):
        x = p.sample(torch.Size(shape))
        assert x.shape == (*shape, *batch, width) and not x.requires_grad
        assert p.log_prob(x).shape == (*shape, *batch)
        assert bool(p.support.check(x).all())
    grown = p.expand((4, *batch))
    assert isinstance(grown, OnSpace) and grown.batch_shape == (4, *batch) and grown.sample((2,)).shape == (2, 4, *batch, width)
    torch.testing.assert_close(grown.log_prob(x[0, 0].expand(4, *batch, width)), p.log_prob(x[0, 0]).expand(4, *batch))
    try:
        assert p.entropy().shape == batch
    except NotImplementedError as error:
        assert "average" in str(error)


@pytest.mark.parametrize("one", ALL, ids=repr)
def test_float32(one: Instance) -> None:
    x, p = one().sample((50,)), one(**{name: value.float() for name, value in one.parameters.items()})
    found = p.log_prob(x.float())
    assert found.dtype == p.sample().dtype == torch.float32
    torch.testing.assert_close(found.double(), one().log_prob(x.double()), rtol=1e-4, atol=1e-4)  # slopes up to 1e3 times 6e-8


@pytest.mark.parametrize("one", PARAMETRIC, ids=repr)
def test_gradients_of_the_density(one: Instance) -> None:
    """In points and parameters, by finite differences; where the concentration is 0 only one side is there."""
    p = one()
    x = p.sample((2,)).requires_grad_()
    values = with_gradients(one)
    if "concentration" in values:
        values["concentration"] = (one.parameters["concentration"] + 0.1).requires_grad_()
    assert torch.autograd.gradcheck(
        lambda x, *changed: one(**dict(zip(values, changed, strict=True))).log_prob(x),
        (x, *values.values()),
        atol=1e-5,
        rtol=1e-4,
    )
    at_loc = p.mean if one.make is WrappedNormal else one.parameters["loc"]
    at_loc = at_loc.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(p.log_prob(at_loc).sum(), at_loc)
    assert bool(torch.isfinite(gradient).all())


@pytest.mark.parametrize("one", PARAMETRIC, ids=repr)
def test_draws_fit_the_density(one: Instance) -> None:
    """The score of draws has mean zero, each parameter's; the entropy is the mean of minus their log-density."""
    torch.manual_seed(1)
    x = one().sample((DRAWS,))
    for name, score in scores(one, x).items():
        assert errors_off(score) < LIKELY, name
    try:
        surprise = -one().log_prob(x) - one().entropy()
    except NotImplementedError:
        return
    assert errors_off(surprise) < LIKELY


@pytest.mark.parametrize("one", PARAMETRIC, ids=repr)
def test_draws_move_as_the_density_does(one: Instance) -> None:
    """The gradient of a mean by moving draws is that by scores: both unbiased."""
    torch.manual_seed(2)
    values = each_its_own(one, DRAWS)
    p = one(**values)
    x = p.rsample()
    moved = torch.autograd.grad(statistic(one.space, x).sum(), list(values.values()))
    x = one(**{name: value.detach() for name, value in values.items()}).sample()
    centred = statistic(one.space, x)
    centred = centred - centred.mean(0)
    for (name, score), by_moving in zip(scores(one, x).items(), moved, strict=True):
        by_score = centred.reshape(*centred.shape, *[1] * (score.ndim - centred.ndim)) * score
        difference = by_moving.mean(0) - by_score.mean(0)
        error = ((by_moving.var(0) + by_score.var(0)) / DRAWS).sqrt()
        assert bool((difference.abs() <= LIKELY * error + 1e-10).all()), (name, difference, error)


def each_its_own(one: Instance, draws: int) -> dict[str, Tensor]:
    """The parameters of as many densities as draws, all equal, so that gradients come draw by draw."""
    full = one()
    return {
        name: getattr(full, name).expand(draws, *getattr(full, name).shape).clone().requires_grad_() for name in one.parameters
    }


def scores(one: Instance, x: Tensor) -> dict[str, Tensor]:
    values = each_its_own(one, len(x))
    return dict(zip(values, torch.autograd.grad(one(**values).log_prob(x).sum(), list(values.values())), strict=True))


def statistic(space: Explicit, x: Tensor) -> Tensor:
    """Any smooth bounded function on the space."""
    y = space.embed(x)
    weights = torch.linspace(-1, 2, y.shape[-1], dtype=y.dtype)
    return (y @ weights + 0.3).tanh() + 0.5 * (y**2 @ weights).sin()


@pytest.mark.parametrize("one", ALL, ids=repr)
def test_the_mass_is_one(one: Instance) -> None:
    """By importance sampling from a wider wrapped Gaussian, which has the same poles and its own tests, or uniformly."""
    torch.manual_seed(3)
    p = one()
    q = reference(one.space, p)
    x = q.sample((3 * DRAWS,))
    ratio = (p.log_prob(x) - q.log_prob(x)).exp()
    error = ratio.std(0) / math.sqrt(len(x))
    assert bool(((ratio.mean(0) - 1).abs() <= LIKELY * error + 1e-9).all()) and bool((error < 2e-2).all())


def reference(space: Explicit, p: OnSpace) -> OnSpace:
    if isinstance(p, WrappedNormal):
        return WrappedNormal(space, p.loc, 1.3 * p.scale)
    if isinstance(p, RiemannianNormal):
        return WrappedNormal(space, p.loc, 1.5 * p.scale[..., None])
    return Uniform(space, p.batch_shape, dtype=torch.float64)


@pytest.mark.parametrize("one", PARAMETRIC, ids=repr)
def test_refusals(one: Instance) -> None:
    (name,) = set(one.parameters) - {"loc"}
    for bad in (-1.0, torch.nan, torch.inf, "1", True):
        with pytest.raises(OptionError, match=name):
            one(**{name: bad})  # type: ignore[arg-type]
    loc = one.parameters["loc"]
    with pytest.raises(ShapeError, match="loc"):
        one(loc=loc[..., :-1])
    with pytest.raises(TensorError, match="loc"):
        one(loc=loc * torch.nan)
    with pytest.raises(TensorError, match="float32 or float64"):
        one(loc=loc.long())
    with pytest.raises(ShapeError, match="value must have shape"):
        one().log_prob(loc[..., :-1])
    with pytest.raises(TensorError, match="finite"):
        one().log_prob(loc * torch.nan)
    with pytest.raises(ShapeError, match="broadcast"):
        one(loc=points(one.space, 7), **{name: torch.ones(3, 5, *[1] * one().event_dims[name])})
    with pytest.raises(OptionError):
        one.make(object(), **one.parameters)
    with pytest.raises(OptionError):
        one.make(Scaled(Hyperbolic(2), 1.0) if one.make is not WrappedNormal else Product(one.space, p=1), **one.parameters)


@pytest.mark.parametrize("kind", [VonMisesFisher, RiemannianNormal], ids=lambda kind: kind.__name__)
def test_parameters_that_nobody_checked(kind: Callable[..., OnSpace]) -> None:
    """NaN comes out as NaN, or is refused; nothing hangs."""
    space = Sphere(2) if kind is VonMisesFisher else Hyperbolic(2)
    p = kind(space, points(space), torch.tensor(torch.nan), validate_args=False)
    assert bool(p.log_prob(points(space)).isnan())
    if kind is VonMisesFisher:
        assert bool(p.sample((3,)).isnan().all())
    else:
        with pytest.raises(TensorError, match="finite"):
            p.sample((3,))


def test_mixtures_and_independence() -> None:
    """As torch combines its own."""
    loc = points(Sphere(2), 4)
    parts = VonMisesFisher(Sphere(2), loc, torch.tensor([1.0, 2.0, 3.0, 4.0]))
    mixture = MixtureSameFamily(Categorical(torch.ones(4).double()), parts)
    x = mixture.sample((6,))
    assert x.shape == (6, 3)
    torch.testing.assert_close(mixture.log_prob(x), parts.log_prob(x[:, None]).logsumexp(-1) - math.log(4))
    torch.testing.assert_close(Independent(parts, 1).log_prob(loc), parts.log_prob(loc).sum())


def test_an_unfit_sampler_would_be_found() -> None:
    """The tests above can fail: draws of a density that is 5 % wider."""
    torch.manual_seed(1)
    (one,) = (one for one in ALL if one.name.startswith("RiemannianNormal Hyperbolic(2"))
    x = one(scale=1.05 * one.parameters["scale"]).sample((DRAWS,))
    assert errors_off(scores(one, x)["scale"]) > LIKELY
