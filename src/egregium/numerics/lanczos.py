"""Lanczos' method for the lowest eigenvalues of many symmetric matrices at once, that are known by products alone."""

import torch
from torch import Tensor

from egregium.numerics.conjugate import Linear

NEGLIGIBLE = 1e-5


def lowest(product: Linear, inverse: Linear, b: Tensor, count: int, most: int) -> tuple[Tensor, Tensor]:
    """Lowest Ritz values `(P, count)` and vectors `(P, count, n, d)` of `M v = value N v`, `<v, N v> = 1`, N the `inverse`'s.

    From the Krylov space of `b` `(P, n, d)`, of at most `most` products, with full reorthogonalisation. Ritz values are never
    below the lowest eigenvalues; where the space is smaller than `count`, zeros fill it up.

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
    values, weights = torch.linalg.eigh((ritz.tril(-1) + ritz.tril().mT).double().nan_to_num(0.0))
    return values[:, :count], torch.einsum("pkc,kpnd->pcnd", weights[..., :count].to(b), basis)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum((-2, -1))
