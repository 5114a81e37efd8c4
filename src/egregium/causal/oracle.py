r"""The closed-form solution for linear mixing: what a learned model must reach where it applies, and a start for one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.causal.checks import require_samples
from egregium.causal.dag import DAG
from egregium.causal.linear_mechanisms import LinearMechanisms, Moments, fit_mechanisms, total_effects
from egregium.causal.lines import Lines, find_lines
from egregium.causal.orthogonal_mechanisms import orthogonal_mechanisms
from egregium.errors import ModelError, OptionError, ShapeError, TensorError
from egregium.spaces.points import require_points

ROUNDING = 64  # eps of the observations' dtype: n products are added for each number of x
THRESHOLD = 4.0


@dataclass(frozen=True, eq=False, repr=False)
class LinearOracle:
    """A linear latent causal model, found in closed form; variables are numbered so that causes come first.

    Attributes:
        directions: `(D, n)`, what a unit of each noise adds to an observation.
        offset: `(D,)`, what observations have in common besides.
        targets: `(N,)` of the pairs: 0 for no intervention, i + 1 for variable i.
        noise: `(N, n)` of the pairs before; each has standard deviation 1, or for orthogonal mixing the one in which R is
            orthonormal.
        latents: `(N, n)` before, in units of their noises: the causal variables up to sign and scale.
        weights: `(n, n)` as `SCM.linear` takes them, entry (i, j) the weight of variable i in its child j, 0 without an edge.
        standard_errors: `(n, n)` of the weights; without an edge, of the weight that it would have if it alone were added;
            for orthogonal mixing 0, or infinite where samples do not tell the causal order.
        graph: an edge for each weight that is `threshold` standard errors from 0.
        threshold: that number.
    """

    directions: Tensor
    offset: Tensor
    targets: Tensor
    noise: Tensor
    latents: Tensor
    weights: Tensor
    standard_errors: Tensor
    graph: DAG
    threshold: float

    @property
    def n(self) -> int:
        """Number of causal variables."""
        return self.directions.shape[1]

    @property
    def mixing(self) -> Tensor:
        """`(D, n)`, the R of `x = R z + offset`."""
        return self.directions @ (torch.eye(self.n).to(self.weights) - self.weights.T)

    def encode(self, x: Tensor) -> Tensor:
        """Causal variables `(N, n)` of observations `(N, D)`. Raises: `ShapeError`, `TensorError`."""
        require_points(x, width=len(self.directions), names="x")
        return (x - self.offset) @ torch.linalg.pinv(self.mixing).T

    def decode(self, z: Tensor) -> Tensor:
        """Observations `(N, D)` of causal variables `(N, n)`. Raises: `ShapeError`, `TensorError`."""
        require_points(z, width=self.n, names="z")
        return z @ self.mixing.T + self.offset

    def counterfactual(self, x: Tensor, target: int, value: Tensor) -> Tensor:
        """Observations `(N, D)` had variable `target`, counted from 0, been set to `value` `(N,)`, all other noises kept.

        Raises: `ShapeError`, `TensorError`; `OptionError` for what is no variable.
        """
        if not 0 <= target < self.n:
            raise OptionError(f"counterfactual(target=) is a variable from 0 to {self.n - 1}; got {target!r}.")
        z = self.encode(x)
        if value.shape != z.shape[:1]:
            raise ShapeError(
                f"counterfactual(value=) must have shape ({len(z)},), one an observation; got {tuple(value.shape)}."
            )
        return x + (value - z[:, target])[:, None] * self.directions[:, target]

    def __repr__(self) -> str:
        pairs, ambient = len(self.targets), len(self.directions)
        return f"LinearOracle({pairs} pairs in {ambient} dimensions: {self.n} variables, {len(self.graph.edges)} edges)"


def linear_oracle(
    x: Tensor,
    x_after: Tensor,
    *,
    n: int | None = None,
    threshold: float = THRESHOLD,
    rtol: float | None = None,
    orthogonal: bool = False,
) -> LinearOracle:
    r"""Causal variables, graph and weights from pairs of observations, when mixing and mechanisms are linear, in closed form.

    Assumes `x = R z + offset` with R `(D, n)` injective, `z = W z + e` with independent noises, and that each pair differs by a
    perfect intervention on one variable or none, every variable being a target. Three steps:

    1. `x_after - x` lies on n lines (`find_lines`), column by column those of `B = R (I - W)^-1` up to scale: targets, and the
       noise encodings `B^+ x` and `B^+ x_after`, up to order and scale.
    2. Where i is the target, its noise encoding after is `h - sum_(k != i) T_ik e_k` with h independent of e: regression gives
       the total effects `T = (I - W)^-1`, hence a causal order, `W = I - T^-1` and `z = T e` (`fit_mechanisms`).
    3. A weight within `threshold` standard errors of 0 is no edge, and the rest are fitted again by maximum likelihood.

    Nothing else is identifiable: the result is unique up to order, sign and scale of the variables, chosen here so that causes
    come first, noises have standard deviation 1, and the largest entry of each direction is positive. Equivariant under
    invertible linear maps of observations, but for rounding.

    Args:
        x, x_after: `(N, D)`, float32 or float64, before and after.
        n: number of variables; by default as many as there are lines.
        threshold: standard errors from which a weight is an edge. At 4 a missing edge is taken for one with probability 6e-5:
            for all n (n - 1) / 2 of them 0.3 % at n = 10, 2.7 % at n = 30.
        rtol: error of the observations, relative to their norms; by default rounding, 64 eps of their dtype.
        orthogonal: R is known to have orthonormal columns, up to one factor. Weights and variables then follow from B without
            sampling error, once samples have told the causal order (`orthogonal_mechanisms`); an edge is a weight above the
            square root of `rtol`.

    Cost: O(N n (D + n)) operations, and those of `fit_mechanisms`.

    Raises: `ShapeError`, `TensorError` (NaN, too few pairs of a target), `OptionError`; `ModelError` where the differences lie
    on no n independent lines, as after nonlinear mixing, where observations vary where no intervention moves them, or where
    samples contradict `orthogonal`.

    References: the setting is that of Brehmer et al. 2022 (arXiv 2203.16437), who proved that it is identifiable.

    >>> generator = torch.Generator().manual_seed(0)
    >>> noise, fresh = torch.randn(2, 900, 2, generator=generator).double()
    >>> z = torch.stack([noise[:, 0], noise[:, 1] - 2 * noise[:, 0]], 1)
    >>> first, second = torch.arange(900) % 3 == 1, torch.arange(900) % 3 == 2
    >>> root = torch.where(first, fresh[:, 0], z[:, 0])
    >>> after = torch.stack([root, torch.where(second, fresh[:, 1], noise[:, 1] - 2 * root)], 1)
    >>> turn = torch.tensor([[0.6, 0.8], [-0.8, 0.6]]).double()
    >>> found = linear_oracle(z @ turn.T, after @ turn.T)
    >>> found.graph.edges, bool((found.weights[0, 1].abs() - 2).abs() < 0.3)
    (((0, 1),), True)
    """
    _require_options(n, threshold, rtol)
    require_samples(x, x_after, names=("x", "x_after"), rows=2)
    rtol = ROUNDING * torch.finfo(x.dtype).eps if rtol is None else rtol
    before, after = (one.detach().to("cpu", torch.float64) for one in (x, x_after))
    error = rtol * (torch.linalg.vector_norm(before, dim=1) + torch.linalg.vector_norm(after, dim=1))
    lines = find_lines(after - before, error, n)
    _require_pairs(lines)
    encoder = torch.linalg.pinv(lines.directions)
    noise = before @ encoder.T
    offset = (before - noise @ lines.directions.T).mean(0)
    _require_span(before - offset - noise @ lines.directions.T, error * float(torch.linalg.cond(lines.directions)))
    scale = noise.std(0)
    noise = noise / scale
    moved = (after @ encoder.T / scale).gather(1, lines.line.clamp_min(0)[:, None])[:, 0]
    moments = Moments.from_pairs(noise, moved, lines.line)
    if orthogonal:
        found = orthogonal_mechanisms(lines.directions * scale, moments, threshold, rtol**0.5)
        noise, scale = noise * found.scales, scale / found.scales
    else:
        found = fit_mechanisms(moments, threshold)
    return _ordered(lines, offset, noise, scale, found, threshold, like=x)


def _ordered(
    lines: Lines, offset: Tensor, noise: Tensor, scale: Tensor, found: LinearMechanisms, threshold: float, like: Tensor
) -> LinearOracle:
    """The result with causes first, in the observations' dtype."""
    order = list(found.graph.order)
    place = torch.tensor(order).argsort()
    weights, errors = (matrix[order][:, order] for matrix in (found.weights, found.standard_errors))
    noise = noise[:, order]
    return LinearOracle(
        directions=(lines.directions * scale)[:, order].to(like),
        offset=offset.to(like),
        targets=torch.where(lines.line < 0, 0, place[lines.line.clamp_min(0)] + 1).to(like.device),
        noise=noise.to(like),
        latents=(noise @ total_effects(weights).T).to(like),
        weights=weights.T.to(like),
        standard_errors=errors.T.to(like),
        graph=found.graph.relabelled(place.tolist()),
        threshold=threshold,
    )


def _require_options(n: int | None, threshold: float, rtol: float | None) -> None:
    if n is not None and n < 1:
        raise OptionError(f"linear_oracle(n=) is a number of variables, 1 or more, or None; got {n!r}.")
    if not threshold > 0:
        raise OptionError(f"linear_oracle(threshold=) is a positive number of standard errors; got {threshold!r}.")
    if rtol is not None and not 0 < rtol < 1:
        raise OptionError(f"linear_oracle(rtol=) is a relative error between 0 and 1, or None; got {rtol!r}.")


def _require_pairs(lines: Lines) -> None:
    pairs = lines.line[lines.line >= 0].bincount(minlength=lines.n)
    if int(pairs.min()) < lines.n + 2:
        raise TensorError(
            f"each of {lines.n} variables must be the target of at least {lines.n + 2} pairs; one is that of "
            f"{int(pairs.min())}: give more pairs."
        )


def _require_span(beside: Tensor, error: Tensor) -> None:
    if float(beside.square().mean(0).sum().sqrt()) > float(error.square().mean().sqrt()):
        raise ModelError(
            "observations vary in a direction in which no intervention moves them: some variable is never intervened on (then "
            "the causal variables are not identifiable), or the mixing is not linear."
        )
