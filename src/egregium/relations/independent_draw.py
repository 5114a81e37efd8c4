"""The published ensemble estimator, kept for comparison: an independently drawn decoder at every point of the curve."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import OptionError
from egregium.geodesics.connect import connect
from egregium.protocols import Measured, Scale
from egregium.relations.verbs import exact
from egregium.spaces.points import flat
from egregium.spaces.pullback import Pullback


@dataclass(frozen=True)
class IndependentDrawLength:
    """`sum_i |f_{s_{i+1}}(c(t_{i+1})) - f_{s_i}(c(t_i))|` with decoders `s_i` drawn independently at `n_points` uniform t.

    The estimator of the published experiments. Members of an ensemble disagree, so each chord jumps between decoders and
    the sum grows linearly with the number of points: it has no limit, is no metric, and lies outside Theorem 1. The curve
    is the geodesic of the expected metric.

    References: Syrota et al. 2024 (arXiv 2408.07507).
    """

    n_points: int
    seed: int = 0
    arity: int = 2
    scale: Scale = "ratio"
    invariant_under: str = "none"

    def __post_init__(self) -> None:
        if self.n_points < 2:
            raise OptionError(f"IndependentDrawLength needs at least 2 points; got {self.n_points}.")

    @property
    def name(self) -> str:
        return f"independent_draw_{self.n_points}"

    def __call__(self, space: Pullback, *points: Tensor) -> Measured:
        with torch.no_grad():
            g = connect(space, *points, on_fail="mark")
            curves = g(torch.linspace(0, 1, self.n_points, dtype=g.length.dtype, device=g.length.device))
            return self.along(space, curves)._replace(status=g.status)

    def along(self, space: Pullback, curves: Tensor) -> Measured:
        """The length of given curves `(*batch, n_points, d)`."""
        z = flat(curves)
        x = space.views(z)
        generator = torch.Generator().manual_seed(self.seed)
        draw = torch.randint(x.shape[1], (len(z),), generator=generator).to(z.device)
        drawn = x[torch.arange(len(z), device=z.device), draw].reshape(*curves.shape[:-1], -1)
        return exact(drawn.diff(dim=-2).norm(dim=-1).sum(-1))
