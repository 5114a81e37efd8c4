"""Which variable each pair is an intervention on, from observations alone."""

import torch
from torch import Tensor

from egregium.causal.learning.by_direction import STEPS, targets_by_direction
from egregium.causal.learning.pairs import require_observations, standardised
from egregium.errors import OptionError
from egregium.models.optimisation import one_thread


def find_targets(
    x: Tensor, x_after: Tensor, n: int, *, components: int | None = None, steps: int = STEPS, seed: int = 0
) -> Tensor:
    """Targets of pairs before and after unknown interventions, from the directions in which observations move.

    Under atomic interventions observations move along n families of curves, one a variable: near each other, pairs with one
    target move along one axis. Fields of axes tell the targets of moves along them, and a classifier of place and direction
    those of longer, bent moves, round by round. It is what `fit` begins with; `IVAE`, which needs targets, may take these,
    without the pairs that are left open. Right in all pairs of linear models to n = 10, in 99.9 % of those through flows and in
    99 % of a scene's pictures; with 5 % noise in each number of an observation in 89 to 100 % of those that it names.

    Args:
        x, x_after: `(N, *shape)`, real, finite, at least 20 pairs a variable that differ.
        n: number of variables.
        components: principal components of observations that are looked at; all numbers of an observation by default.
        steps: of the training of the fields; 1.5 times as many go to the classifier.
        seed: of networks and batches; equal arguments give equal targets.

    Returns:
        `(N,)`: 0 for none, i + 1 for variable i, in any order, and -1 for what is left open, such as moves that noise alone
        could make; all, where there are too few pairs.

    Cost: 3 to 12 seconds on one core, whatever N.

    Raises: `TensorError`, `ShapeError`, `OptionError`.

    References: ours; Brehmer et al. 2022 (arXiv 2203.16437) for the setting.

    >>> generator = torch.Generator().manual_seed(0)
    >>> x = torch.randn(400, 2, generator=generator)
    >>> target = torch.arange(400) % 2
    >>> y = torch.where(target[:, None] == torch.arange(2), torch.randn(400, 2, generator=generator), x)
    >>> found = find_targets(x, y, 2, steps=100) - 1
    >>> float((found == target).float().mean()) in (0.0, 1.0)
    True
    """
    whole = {"n": n, "steps": steps, "components": 1 if components is None else components, "seed": seed}
    for name, one in whole.items():
        if isinstance(one, bool) or not isinstance(one, int) or one < (name != "seed"):
            raise OptionError(f"find_targets({name}=) is a whole number of at least {int(name != 'seed')}; got {one!r}.")
    require_observations(x, x_after, n, components)
    with one_thread(), torch.enable_grad():
        before, after = standardised(x, x_after, components)[1].chunk(2, -1)
        return targets_by_direction(before, after, n, torch.Generator().manual_seed(seed), steps)
