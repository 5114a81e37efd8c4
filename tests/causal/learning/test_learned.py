"""What a trained network answers, and the causal models that it is."""

import pytest
import torch

from egregium.causal import DAG, SCM, graph_by_dependence
from egregium.causal.learning import ELCM, ILCM, BetaVAE
from egregium.causal.learning.mechanisms import LearnedMechanism
from egregium.causal.learning.solutions import Affine
from egregium.errors import OptionError, ShapeError, TensorError

CHAIN = DAG.chain(2)


@pytest.mark.parametrize("graph", [CHAIN, CHAIN.relabelled([1, 0]), DAG.empty(2)], ids=["chain", "reversed", "empty"])
def test_its_structural_model_is_inverted(kind, trained, graph) -> None:
    scm = trained(kind).to_scm(graph)
    e = torch.randn(50, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(scm.abduct(scm.solve(e)), e)
    torch.testing.assert_close(scm.solve(scm.abduct(e)), e)


def test_on_a_graph_that_leaves_nothing_out_it_solves_as_the_network() -> None:
    """A solution function that sees one noise only, as on a true chain; networks are shaken, so that it is not trivial."""
    generator = torch.Generator().manual_seed(1)
    found = Affine(2, (8,), generator)
    for parameter in found.parameters():
        parameter.data = torch.randn(parameter.shape, generator=generator)
    for weight in [*found.networks.weights, *found.networks.biases]:
        weight.data[0] = 0  # variable 0 is its noise
    e = torch.randn(50, 2, generator=generator)
    found = found.double().requires_grad_(False)
    scm = SCM(CHAIN, [LearnedMechanism(found, CHAIN, i) for i in range(2)])
    torch.testing.assert_close(scm.solve(e.double()), found.solve(e.double()))


def test_its_latent_causal_model_decodes_as_it_does(kind, small, trained) -> None:
    found = trained(kind)
    model = found.to_lcm(DAG.empty(2))
    e = found.noise(small.x[:20])
    z = model.scm.solve(e.double())
    torch.testing.assert_close(model.decoder(z).float(), found.decode_noise(e), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(model.scm.abduct(model.encode(small.x[:20])).float(), e, atol=1e-4, rtol=1e-4)
    assert len(model.sample(7, generator=torch.Generator().manual_seed(0))) == 7


def test_its_graph_is_what_samples_and_solution_functions_show(small, trained) -> None:
    """Of a model that knows of no causes, what samples show."""
    for kind in (ILCM, BetaVAE):
        found, pairs = trained(kind), (small.x, small.x_after)
        z, z_after = map(found.encode, pairs)
        shown = graph_by_dependence(z, z_after, small.targets).graph
        assert shown.edges
        assert found.graph(*pairs, targets=small.targets, tolerance=0.0) == shown
        assert found.graph(*pairs, targets=small.targets, tolerance=1e9) == (DAG.empty(2) if kind is ILCM else shown)


def test_its_model_is_its_own(trained, small) -> None:
    found = trained(ILCM)
    found.to_lcm(CHAIN)
    assert found.encode(small.x).dtype == torch.float32


def test_an_explicit_model_solves_on_its_own_graph(trained, small) -> None:
    found = trained(ELCM)
    scm = found.to_scm(found.model.solution.graph())
    e = found.noise(small.x)
    torch.testing.assert_close(scm.solve(e.double()).float(), found.encode(small.x), atol=1e-4, rtol=1e-4)
    assert found.model.solution.adjacency().diagonal().eq(0).all()


def test_it_says_what_it_is(trained) -> None:
    assert repr(trained(BetaVAE)).startswith("Learned(beta-vae, n=2, seed 0, 60 steps, objective ")
    assert trained(BetaVAE).n == 2


def test_bad_input(trained, small) -> None:
    found = trained(ILCM)
    x, y = small.x, small.x_after
    for answer in (found.noise, found.encode, lambda one: found.targets(one, y)):
        with pytest.raises(ShapeError, match=r"\(N, 2\); got \(400, 1\)"):
            answer(x[:, :1])
        with pytest.raises(ShapeError, match=r"got \(2,\)"):
            answer(x[0])
        with pytest.raises(TensorError, match="NaN"):
            answer(x.log())
        with pytest.raises(TensorError, match="int64"):
            answer(x.long())
        with pytest.raises(TensorError, match="list"):
            answer(x.tolist())
    with pytest.raises(ShapeError, match="got 399 and 400"):
        found.targets(x[1:], y)
    with pytest.raises(ShapeError, match="noise encodings"):
        found.decode_noise(torch.zeros(3, 3))
    with pytest.raises(OptionError, match="2 variables; the graph has 3"):
        found.to_scm(DAG.chain(3))


def test_the_law_of_targets_is_that_which_was_learned(trained) -> None:
    found = trained(ILCM)
    law = torch.tensor(found.to_lcm(CHAIN).interventions.probabilities)
    torch.testing.assert_close(law, found.model.law, atol=1e-4, rtol=0)


def test_an_explicit_model_is_asked_for_its_own_graph(trained) -> None:
    found = trained(ELCM)
    assert found.to_scm().graph == found.model.solution.graph()
