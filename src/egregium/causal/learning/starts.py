"""Train from several starts and keep what explains the pairs best."""

import statistics
from pathlib import Path

from torch import Tensor

from egregium.causal.learning.learned import Learned
from egregium.causal.learning.method import Method
from egregium.causal.learning.training import fit
from egregium.errors import ModelError, OptionError

LAST = 10  # of so many points of the history one is compared: the last tenth


def fit_best(
    method: Method,
    x: Tensor,
    x_after: Tensor,
    *,
    starts: int = 3,
    targets: Tensor | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool = True,
) -> Learned:
    """The best of several trainings by `fit`: that whose objective was the least in its last tenth.

    For observations that bend, as pictures do: there some trainings fold one variable, whatever their seed, and their
    objective tells.

    Args:
        method, x, x_after, targets, progress: as for `fit`.
        starts: number of trainings; their seeds are `seed`, `seed + 1` and so on.
        out: a folder with one for each training, named by its seed; the same call goes on where it was.

    Raises: what `fit` raises, a `ModelError` only where all starts fail; `OptionError` for fewer than one start.

    >>> import torch
    >>> from egregium.causal.learning import ILCM
    >>> pairs = torch.randn(2, 64, 3, generator=torch.Generator().manual_seed(0))
    >>> fit_best(ILCM(2, steps=2, batch_size=8), *pairs, starts=2, progress=False).seed in (0, 1)
    True
    """
    if isinstance(starts, bool) or not isinstance(starts, int) or starts < 1:
        raise OptionError(f"fit_best(starts=) is a number of trainings, 1 or more; got {starts!r}.")
    found, failed = [], None
    for one in range(starts):
        folder = None if out is None else Path(out) / f"seed-{seed + one}"
        try:
            found.append(fit(method, x, x_after, targets=targets, seed=seed + one, out=folder, progress=progress))
        except ModelError as error:
            failed = error
    if failed is not None and not found:
        raise failed
    return min(found, key=last_objective)


def last_objective(learned: Learned) -> float:
    """The mean of what was minimised over the last tenth of the training."""
    return statistics.fmean(learned.history[-max(1, len(learned.history) // LAST) :])
