"""Rank agreement of every two trainings, Spearman's and Kendall's, for all of them in one pass over comparisons of targets."""

import numpy as np
from numpy.typing import NDArray

from egregium.errors import ShapeError

BLOCK = 2**22  # comparisons held at once: 16 MB, and sums of signs stay exact in float32


def rank_agreement(values: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Spearman's rho and Kendall's tau-b between every two rows of `values`.

    With `s_a(p, q) = sign(x_ap - x_aq)` over the targets that both rows have: `sum_q s_a(p, q)` is twice the centred mid-rank
    of target `p`, whose correlations are rho, and `sum_pq s_a s_b / sqrt(sum_pq s_a^2 sum_pq s_b^2)` is tau-b.

    Invariant under every increasing map of a row.

    Args:
        values: `(R, P)`, trainings by targets; NaN where a value is missing.

    Returns:
        Two matrices `(R, R)`; NaN where two rows have fewer than two targets in common or one of them is constant there.

    Raises:
        ShapeError: `values` is not a matrix.

    References:
        Kendall 1945, Biometrika 33, 239-251 (tau-b, with ties).

    >>> rho, tau = rank_agreement(np.array([[1.0, 2.0, 3.0], [10.0, 30.0, 20.0]]))
    >>> round(float(rho[0, 1]), 4), round(float(tau[0, 1]), 4)
    (0.5, 0.3333)
    """
    if values.ndim != 2:
        raise ShapeError(f"rank_agreement(values): expected a matrix of trainings by targets; got shape {values.shape}.")
    rows, targets = values.shape
    present = np.isfinite(values)
    x = np.where(present, values, 0.0)
    there = present.astype(np.float32)
    product, square, concordant, untied = (np.zeros((rows, rows)) for _ in range(4))
    step = max(1, BLOCK // max(1, rows * targets))
    for start in range(0, targets, step):
        part = slice(start, start + step)
        both = there[:, part, None] * there[:, None, :]
        signs = np.sign(x[:, part, None] - x[:, None, :]).astype(np.float32) * both
        flat = signs.reshape(rows, -1)
        concordant += flat @ flat.T
        untied += np.abs(flat) @ both.reshape(rows, -1).T
        # (row, target, other row): the row's doubled centred rank of the target among the targets the other row has too
        ranks = (signs @ there.T).astype(float) * there[:, part].T[None]
        product += np.einsum("apb,bpa->ab", ranks, ranks)
        square += np.einsum("apb,apb->ab", ranks, ranks)
    with np.errstate(divide="ignore", invalid="ignore"):
        return product / np.sqrt(square * square.T), concordant / np.sqrt(untied * untied.T)
