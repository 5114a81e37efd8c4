"""When two latent causal models are one: the isomorphism between them, its conditions, and models made isomorphic."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.distributions import Transform, TransformedDistribution

from egregium.causal.interventions import Do, Intervention, InterventionLaw, Perfect, Soft
from egregium.causal.lcm import LatentCausalModel, Pairs
from egregium.causal.mechanisms import Mechanism, log_density
from egregium.causal.scm import SCM
from egregium.errors import OptionError, ShapeError
from egregium.numerics.derivatives import jacobian


@dataclass(frozen=True)
class Comparison:
    """What stands between two latent causal models: the one candidate for an isomorphism, and how far each condition is off.

    With injective decoders `g`, `g'` an isomorphism can only be `z' = g'^-1(g(z))`. Errors are the largest over drawn pairs.

    Attributes:
        permutation: variable i of the first model would be variable `permutation[i]` of the second.
        image: observations of each model that the other cannot make, over their spread.
        latents: share of `dz' / dz` that is not elementwise.
        graph: edges that one model has and the other has not.
        solutions: share of `de' / de` that is not elementwise: whether the maps commute with the solutions.
        noise: difference of the log-densities of the noises.
        law: difference of the probabilities of targets.
        pairs: difference of the log-densities of pairs.
        rtol: up to which an error counts as none.
    """

    permutation: tuple[int, ...]
    image: float
    latents: float
    graph: int
    solutions: float
    noise: float
    law: float
    pairs: float
    rtol: float

    @property
    def failed(self) -> tuple[str, ...]:
        """The conditions that do not hold."""
        names = ("image", "latents", "graph", "solutions", "noise", "law", "pairs")
        return tuple(name for name in names if not getattr(self, name) <= self.rtol)

    @property
    def ok(self) -> bool:
        """Whether the models are isomorphic."""
        return not self.failed


def find_isomorphism(
    a: LatentCausalModel, b: LatentCausalModel, *, number: int = 200, rtol: float = 1e-6
) -> tuple[int, ...] | None:
    """The permutation of the isomorphism from a to b, which is unique, or None: `compare` says why.

    Raises: see `compare`.
    """
    found = compare(a, b, number=number, rtol=rtol)
    return found.permutation if found.ok else None


def compare(a: LatentCausalModel, b: LatentCausalModel, *, number: int = 200, rtol: float = 1e-6) -> Comparison:
    r"""Check all conditions of an isomorphism of latent causal models on drawn pairs.

    There is a permutation p of the variables, an isomorphism of the graphs, and diffeomorphisms
    :math:`\varphi_i, \psi_i` of each variable and of its noise, with

    .. math:: g' \circ \varphi = g, \qquad s' \circ \psi = \varphi \circ s, \qquad \psi_\# p_e = p'_e,
        \qquad p'_I \circ p = p_I,

    and with intervened variables that have the same laws (through `log_prob` of pairs).

    Args:
        a, b: models of the same observations, with decoders that have an `inverse`.
        number: pairs that are drawn from each, with fixed seeds.
        rtol: up to which an error counts as none.

    Cost: some `20 + 16 n` decoder calls of `number` rows. Raises: `ModelError` for decoders without `inverse` and for
    interventions without densities; `ShapeError` where the observations have other shapes.

    References:
        Brehmer et al. 2022, arXiv 2203.16437, definition 3 and theorem 1.
    """
    (first, second), n = [_drawn(model, number) for model in (a, b)], a.n
    if first.x.shape[1:] != second.x.shape[1:] or n != b.n:
        raise ShapeError(
            f"isomorphic models have equally many variables and observations of one shape; got {n} and {b.n}, "
            f"{tuple(first.x.shape[1:])} and {tuple(second.x.shape[1:])}."
        )
    image = max(_missed(b, first.x), _missed(a, second.x))
    slopes = jacobian(lambda z: b.encode(a.decoder(z)), first.z)
    permutation = _assignment(slopes)
    between = jacobian(lambda e: b.scm.abduct(b.encode(a.decoder(a.scm.solve(e)))), first.noise)
    of_pairs = [
        (a.log_prob(some.x, some.x_after) - b.log_prob(some.x, some.x_after)).nan_to_num(torch.inf) for some in (first, second)
    ]
    return Comparison(
        permutation,
        image,
        _off_pattern(slopes, permutation),
        len(set(a.scm.graph.relabelled(permutation).edges) ^ set(b.scm.graph.edges)),
        _off_pattern(between, permutation),
        _noise_error(a.scm, b.scm, first.noise, b.scm.abduct(b.encode(first.x)), between, permutation),
        _law_error(a.interventions, b.interventions, permutation),
        max(float(one.abs().max()) for one in of_pairs),
        rtol,
    )


def transported(
    model: LatentCausalModel, permutation: Sequence[int], maps: Sequence[Transform] | None = None
) -> LatentCausalModel:
    """The isomorphic model in which variable i is called `permutation[i]` and is `maps[i]` of what it was.

    Args:
        maps: diffeomorphisms of the line, of `torch.distributions.transforms`; none changes by default.

    Raises: `OptionError` for what is no permutation, or maps that are not one for each variable.
    """
    maps = [torch.distributions.identity_transform] * model.n if maps is None else list(maps)
    if sorted(permutation) != list(range(model.n)) or len(maps) != model.n:
        raise OptionError(f"expected a permutation of {model.n} variables and as many maps; got {permutation} and {len(maps)}.")
    change = _Change(tuple(permutation), tuple(maps))
    scm, graph = model.scm, model.scm.graph
    mechanisms: list[Mechanism] = list(scm.mechanisms)
    noise, names = list(scm.noise), list(scm.names)
    for i, k in enumerate(permutation):
        mechanisms[k] = change.mechanism(i, scm.mechanisms[i], graph.parents[i])
        noise[k], names[k] = scm.noise[i], scm.names[i]
    interventions = tuple(change.intervention(one, scm) for one in model.interventions.interventions)
    return LatentCausalModel(
        SCM(graph.relabelled(permutation), mechanisms, noise, names),
        _Redrawn(model, change),
        InterventionLaw(interventions, model.interventions.probabilities),
    )


@dataclass(frozen=True, eq=False)
class _Change:
    """New names and elementwise maps of causal variables."""

    permutation: tuple[int, ...]
    maps: tuple[Any, ...]

    def there(self, z: Tensor) -> Tensor:
        columns = [z[..., 0]] * len(self.maps)
        for i, (k, one) in enumerate(zip(self.permutation, self.maps, strict=True)):
            columns[k] = one(z[..., i])
        return torch.stack(columns, -1)

    def back(self, z: Tensor) -> Tensor:
        return torch.stack([_undone(one, z[..., k]) for k, one in zip(self.permutation, self.maps, strict=True)], -1)

    def mechanism(self, i: int, mechanism: Mechanism, parents: Sequence[int]) -> Mechanism:
        there = sorted(parents, key=lambda j: self.permutation[j])
        columns = tuple(there.index(j) for j in sorted(parents))
        return _Carried(mechanism, self.maps[i], tuple(self.maps[j] for j in sorted(parents)), columns)

    def intervention(self, one: Intervention | None, scm: SCM) -> Intervention | None:
        if one is None:
            return None
        changed = scm.intervene(one)
        if isinstance(one, Do):
            return Do({self.permutation[i]: self.maps[i](torch.as_tensor(value)) for i, value in one.values.items()})
        if one.perfect:
            return Perfect(
                {self.permutation[i]: TransformedDistribution(changed.noise[i], [self.maps[i]]) for i in one.targets}
            )
        parents = {i: changed.graph.parents[i] for i in one.targets}
        return Soft(
            {self.permutation[i]: self.mechanism(i, changed.mechanisms[i], parents[i]) for i in one.targets},
            {self.permutation[i]: [self.permutation[j] for j in parents[i]] for i in one.targets},
            {self.permutation[i]: changed.noise[i] for i in one.fresh},
        )


@dataclass(frozen=True)
class _Carried(Mechanism):
    """A mechanism whose value and whose parents are seen through maps; `columns` are the old parents among the new."""

    mechanism: Mechanism
    value: Any
    parents: tuple[Any, ...]
    columns: tuple[int, ...]

    def forward(self, noise: Tensor, parents: Tensor) -> Tensor:
        return self.value(self.mechanism.forward(noise, self._old(parents)))

    def inverse(self, value: Tensor, parents: Tensor) -> Tensor:
        return self.mechanism.inverse(_undone(self.value, value), self._old(parents))

    def log_derivative(self, noise: Tensor, parents: Tensor) -> Tensor:
        old = self._old(parents)
        inside = self.mechanism.forward(noise, old)
        return self.mechanism.log_derivative(noise, old) + self.value.log_abs_det_jacobian(inside, self.value(inside))

    def _old(self, parents: Tensor) -> Tensor:
        found = [_undone(one, parents[:, k]) for one, k in zip(self.parents, self.columns, strict=True)]
        return torch.stack(found, -1) if found else parents


@dataclass(frozen=True, eq=False)
class _Redrawn:
    """A decoder of changed variables."""

    model: LatentCausalModel
    change: _Change

    def __call__(self, z: Tensor) -> Tensor:
        return self.model.decoder(self.change.back(z))

    def inverse(self, x: Tensor) -> Tensor:
        return self.change.there(self.model.encode(x))


def _drawn(model: LatentCausalModel, number: int) -> Pairs:
    return model.sample(number, generator=torch.Generator().manual_seed(0))


def _missed(model: LatentCausalModel, x: Tensor) -> float:
    """How far observations are from the model's image, over their spread."""
    off = (model.decoder(model.encode(x)) - x).flatten(1).norm(dim=-1)
    return float(off.max() / (x - x.mean(0)).flatten(1).norm(dim=-1).mean())


def _shares(slopes: Tensor) -> Tensor:
    """Squares of the entries of matrices `(N, n, n)`, as shares of their column's."""
    return slopes.square() / slopes.square().sum(1, keepdim=True)


def _assignment(slopes: Tensor) -> tuple[int, ...]:
    """The permutation whose entries hold most of matrices `(N, n, n)`, whose columns are the first model's variables."""
    rows, columns = linear_sum_assignment(_shares(slopes).nan_to_num().mean(0).numpy(), maximize=True)
    found = dict(zip(columns.tolist(), rows.tolist(), strict=True))
    return tuple(found[i] for i in range(len(found)))


def _off_pattern(slopes: Tensor, permutation: Sequence[int]) -> float:
    shares = _shares(slopes).nan_to_num(1.0)
    inside = torch.stack([shares[:, k, i] for i, k in enumerate(permutation)], -1)
    return float((shares.sum(1) - inside).clamp_min(0).max().sqrt())


def _noise_error(a: SCM, b: SCM, noise: Tensor, there: Tensor, slopes: Tensor, permutation: Sequence[int]) -> float:
    errors = []
    for i, k in enumerate(permutation):
        carried = log_density(b.noise[k], there[:, k]) + slopes[:, k, i].abs().log()
        errors.append((carried - log_density(a.noise[i], noise[:, i])).nan_to_num(torch.inf).abs().max())
    return float(torch.stack(errors).max())


def _law_error(a: InterventionLaw, b: InterventionLaw, permutation: Sequence[int]) -> float:
    total: dict[tuple[int, ...], float] = {}
    for targets, probability in zip(a.targets(), a.probabilities, strict=True):
        there = tuple(sorted(permutation[i] for i in targets))
        total[there] = total.get(there, 0.0) + probability
    for targets, probability in zip(b.targets(), b.probabilities, strict=True):
        total[targets] = total.get(targets, 0.0) - probability
    return max(map(abs, total.values()))


def _undone(one: Any, value: Tensor) -> Tensor:
    return one.inv(value)
