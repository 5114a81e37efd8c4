"""How badly distances fit into a Euclidean space: multidimensional scaling by majorisation."""

import torch
import torch.nn.functional as F
from torch import Tensor

STEPS = 300
SETTLED = 1e-7


def embedding(distances: Tensor, weights: Tensor, dim: int) -> tuple[Tensor, Tensor]:
    r"""Points `(N, dim)` whose distances are nearest to `distances` `(N, N)`, and the stress that is left, a scalar.

    The stress is `sqrt(sum w (|x_i - x_j| - d_ij)^2 / sum w d_ij^2)`, a number without unit; unchanged when all distances are
    multiplied. Classical scaling, then majorisation, which lowers it in every step: a local minimum.

    References: Torgerson 1952; de Leeuw 1977; Borg and Groenen 2005, Modern Multidimensional Scaling, chapters 8 and 12.

    >>> x = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]]).double()
    >>> round(embedding(torch.cdist(x, x), torch.ones(3, 3).double(), 2)[1].item(), 6)
    0.0
    """
    n = len(distances)
    off = ~torch.eye(n, dtype=torch.bool, device=distances.device)
    weights = weights * off
    inverse = torch.linalg.pinv(_laplacian(weights))
    x = classical_scaling(distances, dim)
    last = _stress(x, distances, weights)
    for _ in range(STEPS):
        apart = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
        ratio = torch.where(off & (apart > 0), distances / apart, 0.0)
        x = inverse @ _laplacian(weights * ratio) @ x
        stress = _stress(x, distances, weights)
        if not last - stress > SETTLED * last:
            break
        last = stress
    return x, _stress(x, distances, weights)


def _laplacian(weights: Tensor) -> Tensor:
    return torch.diag(weights.sum(-1)) - weights


def classical_scaling(distances: Tensor, k: int) -> Tensor:
    """Torgerson's scaling `(N, k)` of a matrix of distances, along its axes from the longest on; zero beyond its rank."""
    square = distances**2
    gram = -0.5 * (square - square.mean(0) - square.mean(1)[:, None] + square.mean())
    values, vectors = torch.linalg.eigh(gram)
    axes = (vectors * values.clamp_min(0).sqrt()).flip(1)[:, :k]
    return F.pad(axes, (0, k - axes.shape[1]))


def _stress(x: Tensor, distances: Tensor, weights: Tensor) -> Tensor:
    apart = torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")
    return ((weights * (apart - distances) ** 2).sum() / (weights * distances**2).sum()).sqrt()
