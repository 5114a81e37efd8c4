"""Structural causal models: solution and abduction, densities, interventions and the axioms of counterfactuals."""

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Laplace, MultivariateNormal, Normal, Uniform

from egregium.causal import DAG, SCM, AdditiveNoise, Do, Linear, LocationScale, Monotone, MonotoneSpline, Perfect, Shift, Soft
from egregium.errors import ModelError, OptionError, ShapeError, TensorError

WEIGHTS = torch.tensor([[0.0, 1.5, -0.7, 0], [0, 0, 0.8, 0], [0, 0, 0, 0], [0, 0, 0.4, 0]], dtype=torch.float64)


@pytest.fixture(scope="module")
def curved() -> SCM:
    """A model with a mechanism of each kind: 0 -> 1 -> 3, 0 -> 2 -> 3, 4 alone."""
    return SCM(
        DAG([(), (0,), (0,), (1, 2), ()]),
        [
            Linear(scale=2.0),
            AdditiveNoise(lambda p: p[:, 0].tanh()),
            LocationScale(lambda p: p[:, 0] ** 2 / 4, lambda p: 0.3 * p[:, 0].sin()),
            MonotoneSpline(lambda p: torch.sin(p.sum(-1, keepdim=True) + torch.arange(25).to(p))),
            Monotone(lambda e, p: e + 0.5 * e.sin()),
        ],
        [Normal(0.0, 1.0), Laplace(0.0, 1.0), Normal(0.0, 1.0), Normal(0.0, 1.0), Normal(1.0, 2.0)],
    )


@pytest.fixture(scope="module")
def z(curved: SCM) -> Tensor:
    return curved.sample(100, generator=torch.Generator().manual_seed(1)).double()


def test_abduction_inverts_the_solution(curved: SCM) -> None:
    noise = torch.randn(5, 60, 5, generator=torch.Generator().manual_seed(0)).double()
    assert torch.allclose(curved.abduct(curved.solve(noise)), noise, rtol=0, atol=1e-10)


def test_jacobian_is_triangular_in_causal_order(curved: SCM) -> None:
    noise = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)).double()
    found = torch.autograd.functional.jacobian(lambda e: curved.solve(e).sum(0), noise).permute(1, 0, 2)
    order = list(curved.graph.order)
    found = found[:, order][:, :, order]
    assert not found.triu(1).any()
    expected = torch.stack([curved.solution_function(i).log_derivative(noise) for i in order], -1)
    assert torch.allclose(found.diagonal(dim1=1, dim2=2).abs().log(), expected, atol=1e-10)


def test_solution_functions_are_the_coordinates_of_the_solution(curved: SCM) -> None:
    noise = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)).double()
    for i in range(5):
        s = curved.solution_function(i)
        assert torch.equal(s(noise), curved.solve(noise)[:, i])
        assert torch.allclose(s.inverse(s(noise), noise), noise[:, i], rtol=0, atol=1e-10)


def test_density_of_a_linear_gaussian_model() -> None:
    scm = SCM.linear(WEIGHTS)
    total = torch.linalg.inv(torch.eye(4) - WEIGHTS).T
    z = torch.randn(50, 4, generator=torch.Generator().manual_seed(0)).double()
    law = MultivariateNormal(torch.zeros(4).double(), total @ total.T)
    assert torch.allclose(scm.log_prob(z), law.log_prob(z), rtol=1e-12)


@pytest.mark.parametrize("kind", ["observed", "do", "perfect", "shift"])
def test_laws_are_sempler_s(kind: str) -> None:
    """Means and covariances of 400,000 draws against the closed form of another library, to 5 standard errors."""
    with warnings.catch_warnings(action="ignore"):  # that its optional half is not installed
        from sempler import LGANM
    peer = LGANM(WEIGHTS.numpy(), means=np.zeros(4), variances=np.ones(4))
    scm = SCM.linear(WEIGHTS)
    change: dict[str, tuple[Any, dict[str, Any]]] = {
        "observed": (None, {}),
        "do": (Do({1: 1.2}), {"do_interventions": {1: 1.2}}),
        "perfect": (Perfect({1: Normal(0.5, 2.0)}), {"do_interventions": {1: (0.5, 4.0)}}),
        "shift": (Shift({1: 0.9}), {"shift_interventions": {1: 0.9}}),
    }  # fmt: skip
    intervention, options = change[kind]
    law: Any = peer.sample(population=True, **options)
    changed = scm.intervene(intervention) if intervention else scm
    found = changed.sample(400_000, generator=torch.Generator().manual_seed(0))
    mean, covariance = torch.as_tensor(law.mean), torch.as_tensor(law.covariance)
    assert torch.allclose(found.mean(0), mean, atol=5 * math.sqrt(float(covariance.max()) / 400_000))
    assert torch.allclose(found.T.cov(), covariance, atol=5 * float(covariance.max()) * math.sqrt(2 / 400_000))


def test_density_after_interventions() -> None:
    scm, z = SCM.linear(WEIGHTS), torch.randn(20, 4, generator=torch.Generator().manual_seed(0)).double()
    z[:10, 1] = 1.2
    others = scm.intervene(Perfect({1: Normal(0.0, 1.0)})).log_prob(z) - Normal(0.0, 1.0).log_prob(z[:, 1])
    after = scm.intervene(Do({1: 1.2})).log_prob(z)
    assert torch.allclose(after[:10], others[:10]) and after[10:].eq(-torch.inf).all()
    assert torch.allclose(scm.intervene(Shift({1: 0.9})).log_prob(z + torch.tensor([0, 0.9, 0.8 * 0.9, 0])), scm.log_prob(z))


def test_composition(curved: SCM, z: Tensor) -> None:
    """Setting variables to what they are changes nothing."""
    found = curved.counterfactual(z, Do({1: z[:, 1], 2: z[:, 2]}))
    assert torch.allclose(found, z, rtol=0, atol=1e-10)


def test_effectiveness(curved: SCM, z: Tensor) -> None:
    """A variable has the value that it is set to."""
    assert curved.counterfactual(z, Do({2: 0.25, 0: -1.0}))[:, [0, 2]].eq(torch.tensor([-1.0, 0.25])).all()


def test_reversibility(curved: SCM, z: Tensor) -> None:
    """If y follows from x and w, and w from x and y, then both follow from x."""
    both = curved.counterfactual(z, Do({0: 0.5}))
    assert torch.allclose(curved.counterfactual(z, Do({0: 0.5, 1: both[:, 1]}))[:, 3], both[:, 3], rtol=0, atol=1e-10)
    assert torch.allclose(curved.counterfactual(z, Do({0: 0.5, 3: both[:, 3]}))[:, 1], both[:, 1], rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    "intervention",
    [Do({1: 0.3}), Shift({1: 1.0}), Perfect({1: Normal(0.0, 1.0)}), Soft({1: Linear((3.0,))}), Soft({1: Linear()}, {1: ()})],
    ids=lambda one: type(one).__name__,
)
def test_what_no_target_leads_to_stays_bit_by_bit(curved: SCM, z: Tensor, intervention) -> None:
    found = curved.counterfactual(z, intervention, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found[:, [0, 2, 4]], z[:, [0, 2, 4]])
    assert not (found[:, [1, 3]] == z[:, [1, 3]]).any()


def test_interventions_follow_each_other(curved: SCM) -> None:
    changed = curved.intervene(Do({1: 2.0}), Shift({1: 0.5}))
    assert changed.sample(3)[:, 1].eq(2.5).all() and changed.graph.parents[1] == ()


def test_soft_interventions_may_draw_noise_anew(curved: SCM, z: Tensor) -> None:
    kept, drawn = Soft({3: Linear((1.0, 1.0))}), Soft({3: Linear((1.0, 1.0))}, noise={3: Normal(0.0, 1.0)})
    assert torch.allclose(curved.counterfactual(z, kept)[:, 3], z[:, 1] + z[:, 2] + curved.abduct(z)[:, 3])
    assert not torch.equal(curved.counterfactual(z, drawn), curved.counterfactual(z, kept))


def test_equal_generators_draw_equal_worlds_and_leave_the_global_one_alone(curved: SCM) -> None:
    state = torch.get_rng_state()
    first, second = (curved.sample(4, 2, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert first.shape == (4, 2, 5) and torch.equal(first, second) and torch.equal(state, torch.get_rng_state())


def test_bad_input_is_refused_in_words(curved: SCM, z: Tensor) -> None:
    with pytest.raises(ModelError, match=r"invertible|strictly monotone"):
        SCM(DAG.empty(1), [Monotone(lambda e, p: e**3 - 2 * e)])
    with pytest.raises(ModelError, match=r"fails on noise \(N,\) and parents"):
        SCM(DAG.empty(1), [AdditiveNoise(lambda p: p.new_zeros(1, 2))])
    with pytest.raises(ModelError, match="finite numbers"):
        SCM(DAG.empty(1), [AdditiveNoise(lambda p: torch.tensor(torch.nan))])
    with pytest.raises(OptionError, match="mechanisms for each of 2"):
        SCM(DAG.chain(2), [Linear()])
    with pytest.raises(OptionError, match="law of one number"):
        SCM(DAG.empty(1), [Linear()], Normal(torch.zeros(2), torch.ones(2)))
    with pytest.raises(OptionError, match="the target 7"):
        curved.counterfactual(z, Do({7: 0.0}))
    with pytest.raises(OptionError, match="no cycles"):
        curved.intervene(Soft({0: Linear((1.0,))}, {0: (3,)}))
    with pytest.raises(OptionError, match="got the targets"):
        Do({})
    with pytest.raises(ShapeError, match=r"\(\*batch, 5\)"):
        curved.solve(z[:, :4])
    with pytest.raises(TensorError, match="NaN"):
        curved.log_prob(z.where(z < 0, torch.nan))
    with pytest.raises(ModelError, match="lost its noise"):
        curved.intervene(Do({1: 0.3})).abduct(z)


PAIR = SCM(DAG.chain(2), [Linear(), AdditiveNoise(lambda p: (p[:, 0] + 4).log())])
ROWS = torch.zeros(4, 2).double()
WRONG: dict[str, tuple[type[Exception], str, Callable[[], object]]] = {
    "do NaN": (OptionError, "finite real number", lambda: Do({0: math.nan})),
    "do infinity": (OptionError, "finite real number", lambda: Do({0: math.inf})),
    "do a complex number": (OptionError, "finite real number", lambda: Do({0: 1j})),  # type: ignore[dict-item]
    "do a word": (OptionError, "got 'a'", lambda: Do({0: "a"})),  # type: ignore[dict-item]
    "do no mapping": (OptionError, "expects a mapping", lambda: Do(3)),  # type: ignore[arg-type]
    "shift by NaN": (OptionError, "finite real number", lambda: Shift({0: math.nan})),
    "shift by NaN of a tensor": (TensorError, "finite real numbers", lambda: Shift({0: torch.tensor(math.nan)})),
    "do a complex tensor": (TensorError, "finite real numbers", lambda: Do({0: torch.tensor(1j)})),
    "do a matrix": (TensorError, "of N rows", lambda: Do({0: torch.zeros(2, 2)})),
    "do other rows": (ShapeError, r"\(3,\) are to fit the 4 rows", lambda: PAIR.counterfactual(ROWS, Do({0: torch.zeros(3)}))),
    "shift one row": (
        ShapeError,
        r"\(1,\) are to fit the 4 rows",
        lambda: PAIR.counterfactual(ROWS, Shift({0: torch.zeros(1)})),
    ),
    "a coin": (OptionError, "is discrete", lambda: Perfect({0: Bernoulli(0.5)})),
    "dice as noise": (OptionError, "is discrete", lambda: SCM(DAG.empty(1), [Linear()], Categorical(torch.ones(6)))),
    "no number from solve": (ModelError, "mechanism of z1 gives NaN", lambda: PAIR.solve(torch.tensor([[-5.0, 0.0]]))),
    "no noise": (ModelError, "mechanism of z1 gives NaN", lambda: PAIR.counterfactual(ROWS - 5, Shift({0: 1.0}))),
    "no density": (ModelError, "z1 has no density", lambda: PAIR.log_prob(ROWS - 5)),
    "no counterfactual": (ModelError, "mechanism of z1 gives NaN", lambda: PAIR.counterfactual(ROWS, Do({0: -5.0}))),
    "half a variable": (OptionError, "the target 0.5", lambda: PAIR.solution_function(0.5)),  # type: ignore[arg-type]
    "no intervention": (OptionError, "expected interventions", lambda: PAIR.intervene(3)),  # type: ignore[arg-type]
    "negative draws": (OptionError, "numbers of draws", lambda: PAIR.sample(-1)),
    "a fold": (ModelError, "rises for some noise", lambda: SCM(DAG.empty(1), [Monotone(lambda e, p: e - e**5 / 1000)])),
    "a hole": (ModelError, "NaN for some", lambda: SCM(DAG.empty(1), [Monotone(lambda e, p: (e + 5).log())])),
}


@pytest.mark.parametrize(("error", "words", "call"), WRONG.values(), ids=list(WRONG))
def test_what_has_no_answer_is_refused(error: type[Exception], words: str, call: Callable[[], object]) -> None:
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize("law", [Normal(0.0, 100.0), Uniform(0.0, 1.0), Normal(1.0, 1e-3), Laplace(0.0, 1.0)], ids=str)
@pytest.mark.parametrize(
    "function", [torch.sinh, lambda e: -e - 0.9 * e.sin(), lambda e: e + e.exp()], ids=["sinh", "wave", "exp"]
)
def test_steep_and_flat_mechanisms_are_not_refused(function: Callable[[Tensor], Tensor], law: Any) -> None:
    SCM(DAG.empty(1), [Monotone(lambda e, p: function(e))], law)


def test_there_is_no_density_outside_the_support_of_noises() -> None:
    scm = SCM(DAG.empty(1), [Linear(scale=2.0)], Uniform(0.0, 1.0))
    found = scm.log_prob(torch.tensor([[1.0], [3.0], [-0.1]]).double())
    assert found[0] == pytest.approx(-math.log(2)) and found[1:].eq(-torch.inf).all()
