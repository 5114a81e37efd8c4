"""Lanczos' method for the lowest eigenvalues of many symmetric matrices at once, that are known by products alone."""

import torch
from torch import Tensor

from egregium.numerics.conjugate import Linear

NEGLIGIBLE = 1e-5
LOOK = 10


def lowest(product: Linear, inverse: Linear, b: Tensor, count: int, most: int, settled: float = 0.0) -> tuple[Tensor, Tensor]:
    """Lowest Ritz values `(P, count)` and vectors `(P, count, n, d)` of `M v = value N v`, `<v, N v> = 1`, N the `inverse`'s.

    From the Krylov space of `b` `(P, n, d)`, with full reorthogonalisation. Ritz values are never below the lowest
    eigenvalues; where the space is smaller than asked for, zeros fill it up. Rows that are finished are 0 in what `product` is
    asked for.

    Args:
        most: products at most.
        settled: residual of these Ritz vectors at which a row is finished, looked at every LOOK products.

    References: Lanczos 1950; Kuczynski and Wozniakowski 1992 (SIAM J. Matrix Anal. Appl. 13), from a random start.

    >>> diagonal = torch.tensor([-1.0, 2.0, 5.0], dtype=torch.float64)
    >>> values, vectors = lowest(lambda v: diagonal * v, lambda r: r, torch.ones(1, 1, 3, dtype=torch.float64), 1, 3)
    >>> round(values.item(), 9), [round(abs(x), 6) for x in vectors.flatten().tolist()]
    (-1.0, [1.0, 0.0, 0.0])
    """
    size = max(count, min(most, b[0].numel()))
    basis, duals = b.new_zeros(size, *b.shape), b.new_zeros(size, *b.shape)
    ritz = b.new_zeros(len(b), size, size)
    residual, near = b, inverse(b)
    norm = unit = _dot(residual, near).clamp_min(0).sqrt()
    for k in range(size):
        scale = torch.where(norm > NEGLIGIBLE * unit, 1 / norm, 0.0)[:, None, None]
        if not scale.any():
            break
        basis[k], duals[k] = scale * near, scale * residual
        residual = product(basis[k])
        if k == 0:
            unit = _dot(residual, inverse(residual)).clamp_min(0).sqrt()
        for _ in range(2):
            share = torch.einsum("kpnd,pnd->pk", basis[: k + 1], residual)
            ritz[:, k, : k + 1] += share
            residual = residual - torch.einsum("pk,kpnd->pnd", share, duals[: k + 1])
        near = inverse(residual)
        norm = _dot(residual, near).clamp_min(0).sqrt()
        if (k + 1) % LOOK == 0:
            last = _ritz(ritz[:, : k + 1, : k + 1])[1][:, -1, :count].abs().amax(-1)
            norm = torch.where(norm * last <= settled, 0.0, norm)
    values, weights = _ritz(ritz)
    return values[:, :count], torch.einsum("pkc,kpnd->pcnd", weights[..., :count].to(b), basis)


def _ritz(lower: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors of symmetric matrices `(P, k, k)` given by their lower triangles; of NaN, those of zeros."""
    return torch.linalg.eigh((lower.tril(-1) + lower.tril().mT).double().nan_to_num(0.0))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((-2, -1))
