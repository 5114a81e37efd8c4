r"""Intraclass correlation ICC(2,1) of trainings as raters, as a ratio of averages over pairs of distinct trainings.

Shrout and Fleiss (1979) write it with the mean squares of a two-way table of `P` targets and `R` raters (between targets B,
between raters J, residual E):

    ICC(2,1) = (B - E) / (B + (R - 1) E + R (J - E) / P).

Dividing by `R`, the numerator is the mean covariance of two distinct raters and the denominator is that plus the mean over
targets of the variance between raters, which is half the mean squared difference of two distinct raters:

    ICC(2,1) = C / (C + W),   C = mean_{a != b} cov_p(x_ap, x_bp),   W = mean_{a != b} mean_p |x_ap - x_bp|^2 / 2.

The two are equal number for number. The second form also holds for incomplete tables (each pair of trainings on the targets
that both have), for points of the plane (complex values) and under resampling, where a training must not meet its own copy.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from egregium.errors import ShapeError


@dataclass(frozen=True)
class Components:
    """Sums over targets for every pair of trainings; all `(R, R)`, symmetric, with a zero diagonal.

    Attributes:
        between: sum of products of deviations, `between / freedom` is the covariance of two trainings.
        freedom: number of targets that both trainings have, less one.
        within: half the sum of squared differences, `within / common` is the variance between two trainings.
        common: number of targets that both trainings have.
    """

    between: NDArray[np.float64]
    freedom: NDArray[np.float64]
    within: NDArray[np.float64]
    common: NDArray[np.float64]

    def disagreement(self, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """`1 - ICC(2,1) = W / (C + W)` for each row of `weights` `(B, R)`, how often each training counts; shape `(B,)`.

        Pairs of trainings are pooled by the number of their common targets. Accurate also where it is tiny, because `1 - ICC`
        is never formed by subtraction. NaN where no two distinct trainings have two common targets or nothing varies.
        """
        with np.errstate(divide="ignore", invalid="ignore"):
            between = over_pairs(weights, self.between) / over_pairs(weights, self.freedom)
            within = over_pairs(weights, self.within) / over_pairs(weights, self.common)
            return within / (between + within)


def components(values: NDArray) -> Components:
    """Variance components of `values` `(R, P)`: trainings by targets, real or complex, NaN where a value is missing.

    Raises:
        ShapeError: `values` is not a matrix.
    """
    if values.ndim != 2:
        raise ShapeError(f"components(values): expected a matrix of trainings by targets; got shape {values.shape}.")
    present = np.isfinite(values)
    there = present.astype(float)
    count = np.maximum(there.sum(1, keepdims=True), 1)
    x = np.where(present, values, 0)
    x = np.where(present, x - x.sum(1, keepdims=True) / count, 0)
    common = there @ there.T
    sums = x @ there.T  # (R, R): sum of a over the targets that b has too
    between = (x @ x.conj().T - sums * sums.conj().T / np.maximum(common, 1)).real
    raw = np.where(present, values, 0)
    within = np.stack([(np.abs(raw - raw[a]) ** 2 * present * present[a]).sum(1) / 2 for a in range(len(raw))])
    np.fill_diagonal(common, 0)
    usable = common >= 2
    zero = np.zeros_like(common)
    return Components(
        between=np.where(usable, between, zero),
        freedom=np.where(usable, common - 1, zero),
        within=np.where(usable, within, zero),
        common=np.where(usable, common, zero),
    )


def over_pairs(weights: NDArray[np.float64], matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """`sum_{a != b} w_a w_b M_ab` for each row of `weights` `(B, R)`; the diagonal of `matrix` `(R, R)` must be zero."""
    return ((weights @ matrix) * weights).sum(1)


def icc(values: NDArray) -> float:
    """Intraclass correlation ICC(2,1): two-way random effects, absolute agreement, a single rater.

    Invariant under one offset and one scale common to all trainings. 1: all trainings give the same values; 0: the trainings
    agree no better than chance; slightly negative values are possible.

    Args:
        values: `(R, P)`, trainings (raters) by targets; NaN where a value is missing.

    Returns:
        The coefficient, NaN with fewer than two trainings or two targets, or where nothing varies.

    Raises:
        ShapeError: `values` is not a matrix.

    References:
        Shrout and Fleiss 1979, Psychological Bulletin 86, 420-428, whose example of four judges and six targets is:

    >>> table = np.array([[9, 6, 8, 7, 10, 6], [2, 1, 4, 1, 5, 2], [5, 3, 6, 2, 6, 4], [8, 2, 8, 6, 9, 7]])
    >>> round(icc(table), 4)
    0.2898
    """
    return float(1 - components(np.asarray(values)).disagreement(np.ones((1, len(values))))[0])
