"""Shortest paths over lattices against Dijkstra's."""

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from egregium.geodesics.lattice import PENALTY, SIXTEEN, Lattice, _plan
from egregium.geodesics.metric_table import MetricTable, full
from egregium.testing.twins import random_decoder

Z0, Z1 = torch.randn(2, 6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
TABLE = MetricTable(random_decoder(2, 10, 0), 1e-3, Z0)
LATTICE = Lattice.about(TABLE, Z0, Z1, torch.eye(2, dtype=torch.float64).expand(6, 2, 2), (Z1 - Z0).abs().amax(-1), 12)
PLAN = _plan(12, torch.device("cpu"))


def test_steps_are_as_long_as_the_mean_metric_of_their_ends_says() -> None:
    n = len(PLAN.neighbours)
    points, known = LATTICE.points[0], PLAN.neighbours < n
    here, slot = known.nonzero(as_tuple=True)
    step = points[PLAN.neighbours[here, slot]] - points[here]
    metric = full(TABLE.components(TABLE.locate(points, (Z1 - Z0).abs().amax(-1)[:1].expand(n)), points))
    mean = 0.5 * (metric[here] + metric[PLAN.neighbours[here, slot]])
    length = torch.einsum("na,nab,nb->n", step, mean, step).sqrt()
    torch.testing.assert_close(LATTICE.weights[here, slot, 0], length, rtol=1e-9, atol=1e-12)
    assert LATTICE.weights[..., 0][~known].isinf().all() and LATTICE.weights.shape == (n, len(SIXTEEN), 6)


def test_paths_are_the_shortest() -> None:
    path, walked = LATTICE.shortest()
    n = len(PLAN.neighbours)
    for pair in range(6):
        inside = (PLAN.neighbours < n).numpy()
        start, slot = np.nonzero(inside)
        weights = LATTICE.weights[..., pair].numpy()[start, slot]
        graph = csr_array((weights, (start, PLAN.neighbours.numpy()[start, slot])), shape=(n, n))
        exact = float(dijkstra(graph, indices=PLAN.source)[PLAN.goal])
        assert abs(float(walked[pair, -1]) / exact - 1) < 1e-12
        assert path[pair, 0] == PLAN.source and path[pair, -1] == PLAN.goal


def test_about_a_path_steps_cost_more_and_elsewhere_as_before() -> None:
    path, n = LATTICE.shortest()[0], len(PLAN.neighbours)
    other = LATTICE.avoiding(path)
    for pair in range(6):
        taken = torch.zeros(n + 1, dtype=torch.bool).index_fill(0, path[pair], True)
        about = taken[PLAN.neighbours[:, [k for k, step in enumerate(SIXTEEN) if max(map(abs, step)) == 1]]].any(-1)
        weights = LATTICE.weights[..., pair]
        assert other.costs[..., pair].equal(torch.where(about[:, None], PENALTY * weights, weights))
        assert 0 < int(about.sum()) < n
    assert other.weights.equal(LATTICE.weights)
    assert not other.shortest()[0].equal(path)


def test_pairs_may_be_chosen() -> None:
    path, walked = LATTICE.shortest()
    rows = torch.tensor([1, 4])
    chosen = LATTICE.of(rows).shortest()
    assert chosen[1][:, -1].equal(walked[rows, -1]) and chosen[0].shape[0] == 2
    assert LATTICE.of(rows).avoiding(path[rows]).shortest()[1][:, -1].equal(LATTICE.avoiding(path).shortest()[1][rows, -1])
