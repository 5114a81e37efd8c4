"""Disentanglement, completeness, informativeness: how much of which true variable each found one tells."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.ensemble import GradientBoostingRegressor
from torch import Tensor

from egregium.causal.checks import require_samples
from egregium.errors import OptionError

TRAINING, TEST = 5000, 4000
ROWS = 200
LEAST = 20  # rows for training, and for test
TREES = {"n_estimators": 15, "max_depth": 3, "learning_rate": 0.4}


@dataclass(frozen=True, eq=False)
class DCI:
    """The three scores, each at most 1, and the matrix from which the first two come.

    Attributes:
        disentanglement: 1 if every found variable tells of one true variable only; weighted by how much each tells.
        completeness: 1 if every true variable is told by one found variable only; weighted alike.
        informativeness: mean share of the variance of true variables that is predicted on held-out samples (R^2).
        importance: `(n, n)`, of found variables (rows) for predicting true ones (columns), whose sum is 1.
    """

    disentanglement: float
    completeness: float
    informativeness: float
    importance: Tensor


def dci(z_true: Tensor, z_found: Tensor, *, training: int = TRAINING, test: int = TEST, seed: int = 0) -> DCI:
    r"""Disentanglement, completeness and informativeness of found variables.

    With `I` the importance `(found, true)` and `H_n` the entropy to base n, `D = sum_i rho_i (1 - H_n(I_ij / sum_j I_ij))`,
    `rho_i` the share of found variable i in the importance of all; C the same with rows and columns exchanged. Importance is
    the fall of variance in gradient-boosted regression trees, one ensemble a true variable: 15 trees of depth 3 at rate 0.4.
    Trees see ranks of found variables only, so that monotone maps of each change nothing but for reflections at ties.

    The truth itself does not reach 1: what is left after some trees is a sawtooth, which a correlated variable cuts as well.
    With 5,000 training samples it has D and C from 0.9995 to 1.0000 at n = 2, 4, 8, 10 and informativeness 0.998; with 20
    trees at rate 0.5 the latter is 0.999 and D from 0.9993, and 10 deeper ones come to 0.9991.

    Args:
        z_true, z_found: `(N, n)`, of the same observations, n >= 2; at least 200 rows.
        training, test: how many rows, the first ones and the next ones, are used at most; with fewer rows in the same ratio.
        seed: of the order in which trees try variables of equal merit.

    Cost: n ensembles on n variables: 0.5 s at n = 4, 2.5 s at n = 10.

    Raises: `ShapeError` for unequal shapes; `TensorError` for NaN, too few rows, constant columns; `OptionError` for parts of
    fewer than 20 rows.

    References: Eastwood and Williams 2018 (OpenReview By-7dz-AZ); Locatello et al. 2019 (arXiv 1811.12359) for the trees.

    >>> z = torch.randn(200, 2, generator=torch.Generator().manual_seed(0))
    >>> mixed = torch.stack([z.sum(1), z[:, 0] - z[:, 1]], 1)
    >>> dci(z, z.sinh()).disentanglement > 0.9 > 0.2 > dci(z, mixed).disentanglement
    True
    """
    require_samples(z_true, z_found, names=("z_true", "z_found"), rows=ROWS, varied=True)
    if z_true.shape[1] < 2:
        raise OptionError("dci compares at least two variables; with one there is nothing to disentangle.")
    if training < LEAST or test < LEAST:
        raise OptionError(f"dci expects training and test of {LEAST} samples or more; got {training} and {test}.")
    held = min(test, int(len(z_true) * test / (training + test)))
    fitted = min(training, len(z_true) - held)
    if min(fitted, held) < LEAST:
        raise OptionError(
            f"dci needs {LEAST} samples or more for training and for test; training={training}, test={test} divide "
            f"{len(z_true)} rows into {fitted} and {held}: choose a ratio nearer to 1."
        )
    true, found = (z[: fitted + held].detach().cpu().double().numpy() for z in (z_true, z_found))
    columns = [_importance(found, target, fitted, seed) for target in true.T]
    importance = torch.from_numpy(np.stack([column for column, _ in columns], 1))
    importance = importance / importance.sum()
    return DCI(
        disentanglement=_concentration(importance),
        completeness=_concentration(importance.T),
        informativeness=float(np.mean([explained for _, explained in columns])),
        importance=importance,
    )


def _importance(found: np.ndarray, target: np.ndarray, training: int, seed: int) -> tuple[np.ndarray, float]:
    """Of each found variable for one true variable, with sum 1; and the share of variance predicted on the rows left."""
    trees = GradientBoostingRegressor(random_state=seed, **TREES).fit(found[:training], target[:training])
    return np.asarray(trees.feature_importances_), float(trees.score(found[training:], target[training:]))


def _concentration(importance: Tensor) -> float:
    """1 minus the entropy of each row, to the base of their length, weighted by the rows' sums."""
    weight = importance.sum(1)
    share = importance / weight.clamp_min(torch.finfo(weight.dtype).tiny)[:, None]
    entropy = torch.special.entr(share).sum(1) / np.log(importance.shape[1])
    return float((weight * (1 - entropy)).sum())
