"""Models with known graphs, and pairs from them, for the tests of graph learners."""

import torch
from torch import Tensor

from egregium.causal import DAG, SCM, AdditiveNoise, LatentCausalModel, Linear, LocationScale, Mechanism, Orthogonal

Sample = tuple[Tensor, Tensor, Tensor]  # z, z_after, targets

NAMED = {
    "empty": DAG.empty(4),
    "full": DAG.full(4),
    "chain": DAG.chain(3),
    "fork": DAG([(), (0,), (0,), (0,)]),
    "collider": DAG([(), (), (0, 1), (2,)]),
    "pair": DAG.chain(2),
}


def location(z: Tensor) -> Tensor:
    return (1.5 * torch.sin(z) + 0.5 * z).sum(-1)


def log_scale(z: Tensor) -> Tensor:
    return 0.6 * torch.tanh(z).sum(-1)


def model(graph: DAG, kind: str) -> SCM:
    """Of linear, additive, or scaled mechanisms."""
    made: dict[str, Mechanism] = {"additive": AdditiveNoise(location), "scaled": LocationScale(location, log_scale)}
    return SCM(graph, [made[kind] if kind in made and one else Linear((1.0,) * len(one)) for one in graph.parents])


def sample(scm: SCM, number: int = 4000, seed: int = 0) -> Sample:
    decoder = Orthogonal(torch.eye(scm.n, dtype=torch.float64))
    pairs = LatentCausalModel(scm, decoder).sample(number, generator=torch.Generator().manual_seed(seed))
    return pairs.z, pairs.z_after, (pairs.targets * torch.arange(1, scm.n + 1)).sum(1)


def turned(sample: Sample, degrees: float) -> Sample:
    """Standardised variables, every two neighbours mixed by a rotation, one after the other."""
    z, z_after, targets = sample
    angle, n = torch.tensor(degrees * torch.pi / 180, dtype=torch.float64), z.shape[1]
    turn = torch.eye(n, dtype=torch.float64)
    for i in range(n - 1):
        plane = torch.eye(n, dtype=torch.float64)
        plane[i, i] = plane[i + 1, i + 1] = angle.cos()
        plane[i, i + 1], plane[i + 1, i] = angle.sin(), -angle.sin()
        turn = plane @ turn
    return (z / z.std(0)) @ turn.T, (z_after / z.std(0)) @ turn.T, targets
