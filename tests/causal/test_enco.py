"""The interventional structure learner: graphs, gradients of its steps, determinism, bad input."""

import pytest
import torch
from tests.causal.graphs import NAMED, model, sample, turned

from egregium.causal import DAG, ENCO, learn_graph, structural_hamming_distance
from egregium.causal.enco import _Networks
from egregium.errors import EgregiumError, OptionError, ShapeError, TensorError

QUICK = ENCO(rounds=6, network_steps=80, graph_steps=20, batch=128, width=16, existence_rate=0.2, direction_rate=0.3)


@pytest.mark.parametrize(("name", "kind"), [("empty", "linear"), ("chain", "linear"), ("fork", "scaled"), ("pair", "additive")])
def test_graphs_are_found(name: str, kind: str) -> None:
    found = learn_graph(*sample(model(NAMED[name], kind), 10_000), QUICK)
    assert found.graph == NAMED[name], found.probability


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["linear", "additive", "scaled"])
@pytest.mark.parametrize("name", NAMED)
def test_graphs_are_found_by_default(name: str, kind: str) -> None:
    found = learn_graph(*sample(model(NAMED[name], kind), 20_000))
    assert found.graph == NAMED[name], found.probability


@pytest.mark.slow
def test_eight_variables() -> None:
    graph = DAG.random(8, probability=0.4, generator=torch.Generator().manual_seed(1))
    found = learn_graph(*sample(model(graph, "additive"), 30_000))
    assert structural_hamming_distance(graph, found.graph) <= 1


def test_leakage_is_no_edge() -> None:
    found = learn_graph(*turned(sample(model(NAMED["fork"], "linear"), 10_000), 1), QUICK)
    assert found.graph == NAMED["fork"], found.probability


def test_probabilities_are_consistent_and_hang_on_ranks_and_seed_alone() -> None:
    z, z_after, targets = sample(model(NAMED["chain"], "additive"), 1000)
    short = ENCO(rounds=1, network_steps=5, graph_steps=5, width=8)
    found = learn_graph(z, z_after, targets, short, seed=1)
    off = ~torch.eye(3, dtype=torch.bool)
    torch.testing.assert_close((found.direction + found.direction.T)[off], torch.ones(6, dtype=torch.float64))
    assert torch.equal(found.probability, found.existence * found.direction)
    assert torch.equal(found.probability, learn_graph(z.sinh(), z_after.sinh(), targets, short, seed=1).probability)
    assert not torch.equal(found.probability, learn_graph(z, z_after, targets, short, seed=2).probability)


def test_a_flip_of_an_edge_is_what_the_other_graph_would_give() -> None:
    generator = torch.Generator().manual_seed(0)
    networks = _Networks.start(3, 8, generator)
    with torch.no_grad():
        networks.drawn.normal_(generator=generator)
        z = torch.randn(5, 3, generator=generator)
        parents = torch.rand(5, 3, 3, generator=generator).lt(0.5).float()
        flipped = networks.flipped(networks.hidden(z, parents), z, (1 - 2 * parents).permute(1, 2, 0))
        for j in range(3):
            for i in range(3):
                other = parents.clone()
                other[:, j, i] = 1 - other[:, j, i]
                torch.testing.assert_close(flipped[j, i], networks.hidden(z, other)[j])


def test_progress_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    data = sample(model(DAG.chain(2), "linear"), 400)
    learn_graph(*data, ENCO(rounds=2, network_steps=1, graph_steps=1), progress=True)
    assert "round 2 of 2" in capsys.readouterr().err


Z, AFTER, TARGETS = sample(model(DAG.chain(2), "linear"), 300)


@pytest.mark.parametrize(
    ("arguments", "error", "says"),
    [
        ((Z.clone().index_fill(0, torch.tensor([3]), torch.nan), AFTER, TARGETS), TensorError, "NaN"),
        ((Z[:, :1], AFTER[:, :1], TARGETS.clamp(max=1)), ShapeError, "two variables"),
        ((Z, AFTER[:-1], TARGETS), ShapeError, "equal shapes"),
        ((Z, AFTER, TARGETS[:-1]), ShapeError, "one a pair"),
        ((Z, AFTER, TARGETS - 1), TensorError, "0 .. 2"),
        ((Z, AFTER, TARGETS.clamp(max=1)), TensorError, "variable 1 is that of 0"),
        ((Z, AFTER, TARGETS, {"rounds": 3}), OptionError, "ENCO"),
    ],
)
def test_bad_input_is_told(arguments: tuple, error: type[EgregiumError], says: str) -> None:
    with pytest.raises(error, match=says):
        learn_graph(*arguments)


@pytest.mark.parametrize("options", [{"rounds": 0}, {"width": 1.5}, {"network_rate": 0.0}, {"sparsity": -1.0}])
def test_bad_options_are_told(options: dict) -> None:
    with pytest.raises(OptionError, match="ENCO expects"):
        ENCO(**options)
