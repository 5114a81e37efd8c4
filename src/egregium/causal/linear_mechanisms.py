r"""Weights of a linear structural model, from noises before, and noise encodings after, perfect atomic interventions.

With `z = W z + e`, `T = (I - W)^-1` holds the total effects: `z = T e`, with 1 on its diagonal. A perfect intervention sets
the target to a value `h` that is independent of all noises. Nothing that the target depends on moves, so that its noise
encoding, the noise which the model that was not intervened on needs for `h`, is

    e_after_i = h - sum_j W_ij z_j = h - sum_(k != i) T_ik e_k.

Over the pairs with target i, regressing `e_after_i` on the other noises before therefore gives row i of `-T`, with independent
errors for different rows, and 0 for noises of variables that i does not descend from: hence the causal order. If h and e are
normal, the likelihood of W is that of these n regressions together (least squares is consistent for any law),

    sum_i sum_(pairs with target i) (e_after_i + sum_(k != i) T_ik(W) e_k - mean)^2 / (2 var h_i).

It is nonlinear in W. With `d T = T dW T`, the residual of i changes by `T_ia z_b` with `W_ab`, so that the information is
`sum_i T_ia T_ic cov_i(z_b, z_d) pairs_i / var h_i` between `W_ab` and `W_cd`: what was seen below a variable informs about the
weights above it, as soon as edges are left out. That is why all weights are fitted together.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.causal.dag import DAG

STEPS = 100
SETTLED = 1e-6  # standard errors by which the last step moves a weight
HALVINGS = 30
LEAST = 1e-12  # variance of an intervention's law, in units of the noise's: below, the law is one value up to rounding

Edge = tuple[int, int]  # child, parent: as weights are numbered


@dataclass(frozen=True)
class Moments:
    """What the likelihood needs of pairs, sums about means over those with target i: see `from_pairs`."""

    gram: Tensor  # (n, n, n), of the noises before
    cross: Tensor  # (n, n), of these with the target's noise encoding after
    square: Tensor  # (n,), of the latter
    pairs: Tensor  # (n,)

    @classmethod
    def from_pairs(cls, noise: Tensor, after: Tensor, target: Tensor) -> "Moments":
        """Of noises `(N, n)` before, the target's encoding `(N,)` after, and the target `(N,)` in 0 .. n - 1 (-1: none)."""
        rows = [target == i for i in range(noise.shape[1])]
        parts = [(noise[some] - noise[some].mean(0), after[some] - after[some].mean()) for some in rows]
        return cls(
            gram=torch.stack([e.T @ e for e, _ in parts]),
            cross=torch.stack([e.T @ h for e, h in parts]),
            square=torch.stack([h @ h for _, h in parts]),
            pairs=torch.stack([some.sum() for some in rows]),
        )

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.pairs)


@dataclass(frozen=True)
class LinearMechanisms:
    """A fitted linear structural model.

    Attributes:
        weights: `(n, n)`, entry (i, j) that of the parent j of i; 0 where there is no edge.
        standard_errors: `(n, n)`, of an edge's weight; without an edge, of the weight that it would have if it alone were
            added. NaN on the diagonal.
        graph: the edges.
    """

    weights: Tensor
    standard_errors: Tensor
    graph: DAG


def fit_mechanisms(moments: Moments, threshold: float) -> LinearMechanisms:
    """Graph and weights: an edge where the weight is more than `threshold` standard errors from 0, given all others.

    From the graph with all edges that the causal order allows, the least significant is taken away, again and again; then the
    rest is fitted by maximum likelihood, and an edge that would now be significant comes back, once at most. Every edge of the
    result is significant. Cost: O(n^6) operations, few of them in Python: 0.05 s at n = 10, 0.5 s at n = 30.
    """
    likelihood = Likelihood.saturated(moments)
    order = likelihood.order
    edges = [(i, j) for place, i in enumerate(order) for j in order[:place]]
    weights, returned = likelihood.ordered_weights(), set()
    while True:
        weights = likelihood.refined(weights, edges)
        significant = likelihood.reduced(weights, edges, threshold)
        if len(significant) < len(edges):
            edges = significant
            continue
        score, errors = likelihood.scores(weights, edges)
        missing = _most_significant(score, edges, returned, threshold)
        if missing is None:
            return LinearMechanisms(weights, errors, DAG.from_adjacency(weights.T != 0))
        edges, returned = [*edges, missing], returned | {missing}


def _most_significant(score: Tensor, edges: list[Edge], returned: Iterable[Edge], threshold: float) -> Edge | None:
    """The edge that most deserves to come back, closes no cycle, and did not come back before."""
    n = len(score)
    graph = DAG([[j for i, j in edges if i == child] for child in range(n)])
    below = torch.eye(n, dtype=torch.bool)
    for i in range(n):
        below[i, list(graph.descendants(i))] = True
    score = score.abs().masked_fill(below, 0)
    for i, j in [*edges, *returned]:
        score[i, j] = 0
    best = int(score.argmax())
    return (best // n, best % n) if float(score.flatten()[best]) > threshold else None


@dataclass(frozen=True)
class Likelihood:
    """The n regressions: their moments, the variance of each intervention's law, and a causal order.

    Of weights in units of noises: those of standard deviation 1.
    """

    moments: Moments
    variance: Tensor  # (n,)
    order: list[int]

    @classmethod
    def saturated(cls, moments: Moments) -> "Likelihood":
        """Each regression on all other noises: variances of what is left, and the order in which what must be 0 is smallest."""
        n, variance, significance = moments.n, [], []
        for i in range(n):
            others = [k for k in range(n) if k != i]
            inverse = torch.linalg.inv(moments.gram[i][others][:, others])
            slope = inverse @ moments.cross[i, others]
            square = moments.square[i] - slope @ moments.cross[i, others]
            variance.append((square / (moments.pairs[i] - n)).clamp_min(LEAST))
            row = torch.zeros(n, dtype=torch.float64)
            row[others] = slope**2 / (variance[i] * inverse.diagonal())
            significance.append(row)
        return cls(moments, torch.stack(variance), _causal_order(torch.stack(significance)))

    def ordered_weights(self) -> Tensor:
        """The weights `(n, n)` of the graph with all edges that the order allows, in closed form: `I - T^-1`."""
        total = torch.eye(self.moments.n, dtype=torch.float64)
        for place, i in enumerate(self.order):
            above = self.order[:place]
            total[i, above] = -torch.linalg.solve(self.moments.gram[i][above][:, above], self.moments.cross[i, above])
        return torch.eye(self.moments.n, dtype=torch.float64) - torch.linalg.inv(total)

    def loss(self, weights: Tensor) -> Tensor:
        """Minus the log-likelihood, but for a constant."""
        indirect = total_effects(weights) - torch.eye(self.moments.n, dtype=torch.float64)
        bent = torch.einsum("ikl,il->ik", self.moments.gram, indirect)
        squares = self.moments.square + ((2 * self.moments.cross + bent) * indirect).sum(1)
        return (squares / self.variance).sum() / 2

    def slope(self, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Of the log-likelihood: gradient `(n n,)` and information `(n n, n n)`."""
        n, total = self.moments.n, total_effects(weights)
        indirect = total - torch.eye(n, dtype=torch.float64)
        residual = self.moments.cross + torch.einsum("ikl,il->ik", self.moments.gram, indirect)
        gradient = -(total / self.variance[:, None]).T @ residual @ total.T
        effects = total[:, :, None] * total[:, None, :] / self.variance[:, None, None]
        latents = total @ self.moments.gram @ total.T
        information = effects.reshape(n, -1).T @ latents.reshape(n, -1)  # ac, bd
        return gradient.flatten(), information.reshape(n, n, n, n).permute(0, 2, 1, 3).reshape(n * n, n * n)

    def refined(self, weights: Tensor, edges: list[Edge]) -> Tensor:
        """The most likely weights on some edges: Gauss and Newton's steps, halved where the likelihood would fall."""
        at = _places(edges, len(weights))
        weights = torch.zeros_like(weights).flatten().index_copy(0, at, weights.flatten()[at]).reshape(weights.shape)
        if not edges:
            return weights
        loss = self.loss(weights)
        for _ in range(STEPS):
            gradient, information = self.slope(weights)
            step = torch.linalg.solve(information[at][:, at], gradient[at])
            for _ in range(HALVINGS):
                tried = weights.flatten().index_add(0, at, step).reshape(weights.shape)
                if float(self.loss(tried)) <= float(loss):
                    break
                step = step / 2
            else:
                return weights
            weights, loss = tried, self.loss(tried)
            if float((step * information.diagonal()[at].sqrt()).abs().max()) < SETTLED:
                return weights
        return weights

    def reduced(self, weights: Tensor, edges: list[Edge], threshold: float) -> list[Edge]:
        """Edges left when the least significant goes, again and again, the others following as the information tells."""
        at = _places(edges, len(weights))
        left, value = list(range(len(edges))), weights.flatten()[at]
        covariance = torch.linalg.inv(self.slope(weights)[1][at][:, at])
        while left:
            score = value.abs() / covariance.diagonal().sqrt()
            least = int(score.argmin())
            if float(score[least]) > threshold:
                break
            pull = covariance[:, least] / covariance[least, least]
            value = value - pull * value[least]
            covariance = covariance - torch.outer(pull, covariance[least])
            kept = torch.arange(len(left)) != least
            value, covariance = value[kept], covariance[kept][:, kept]
            left.pop(least)
        return [edges[k] for k in left]

    def scores(self, weights: Tensor, edges: list[Edge]) -> tuple[Tensor, Tensor]:
        """For all weights `(n, n)`: each in standard errors, as it is or as it would be if added alone, and these errors."""
        n = self.moments.n
        gradient, information = self.slope(weights)
        at = _places(edges, n)
        crossed = information[:, at]
        inverse = torch.linalg.inv(crossed[at])
        kept = information.diagonal() - ((crossed @ inverse) * crossed).sum(1)
        kept[at] = 1 / inverse.diagonal()
        score = gradient / kept.sqrt()
        score[at] = weights.flatten()[at] * kept[at].sqrt()
        errors = kept.rsqrt().reshape(n, n).clone()
        return score.reshape(n, n), errors.fill_diagonal_(torch.nan)


def total_effects(weights: Tensor) -> Tensor:
    """`(I - W)^-1`: what each variable is of all noises."""
    return torch.linalg.inv(torch.eye(len(weights), dtype=weights.dtype) - weights)


def _causal_order(significance: Tensor) -> list[int]:
    """Causes first: again and again the variable on which the noises of all that are left have the least effect.

    `significance` `(n, n)` are squares of the total effects in standard errors. An effect of an ancestor may cancel along two
    paths, but then one of a variable between does not, so that the order holds in unfaithful models too.
    """
    order, left = [], list(range(len(significance)))
    while left:
        total = significance[left][:, left].sum(1)
        order.append(left.pop(int(total.argmin())))
    return order


def _places(edges: list[Edge], n: int) -> Tensor:
    return torch.tensor([i * n + j for i, j in edges], dtype=torch.long)
