"""Structural causal models: solved, abducted, sampled, intervened on."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.distributions import Distribution

from egregium.causal.dag import DAG
from egregium.causal.interventions import Intervention, Variable, require_law, standard_normal
from egregium.causal.mechanisms import Constant, Linear, Mechanism, Shifted, support
from egregium.errors import ModelError, OptionError, ShapeError, TensorError
from egregium.models.randomness import seeded

PROBES = 8  # draws on which inverses are tried when a model is made
DRAWS = 32  # that tell a noise's spread
STEPS, WIDE = 65, 8.0  # noises on a grid, and how far it goes, in units of the draws' spread
ROUNDINGS = 64  # errors of rounding by which values on the grid may be off


@dataclass(frozen=True, eq=False)
class SCM:
    r"""An acyclic structural causal model `z_i = f_i(e_i; z_pa(i))` of real variables, with independent noises.

    Its solution :math:`s: e \mapsto z` is a diffeomorphism with triangular Jacobian. Interventions give other models; a
    counterfactual is what the same noise gives in them.

    Args:
        graph: who depends on whom.
        mechanisms: of each variable, applied to its parents in the graph's order.
        noise: laws of the noises, N(0, 1) in float64 by default.
        names: of the variables.

    Raises:
        OptionError: unequal numbers of variables, mechanisms, laws and names.
        ModelError: a mechanism that its `inverse` does not invert, or that gives no finite numbers `(N,)`, on drawn noise; or
            that turns round within 8 spreads of its noise, as far as 65 noises show.

    References:
        Pearl 2009, Causality; Brehmer et al. 2022, arXiv 2203.16437, definition 1.

    >>> scm = SCM(DAG.chain(2), [Linear(), Linear((2.0,))])
    >>> scm.solve(torch.tensor([1.0, 0.5])).tolist()
    [1.0, 2.5]
    """

    graph: DAG
    mechanisms: tuple[Mechanism, ...]
    noise: tuple[Distribution, ...]
    names: tuple[str, ...]

    def __init__(
        self,
        graph: DAG,
        mechanisms: Sequence[Mechanism],
        noise: Distribution | Sequence[Distribution] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        noise = standard_normal() if noise is None else noise
        fields = {
            "mechanisms": tuple(mechanisms),
            "noise": (noise,) * graph.n if isinstance(noise, Distribution) else tuple(noise),
            "names": tuple(f"z{i}" for i in range(graph.n)) if names is None else tuple(names),
        }
        for name, found in fields.items():
            if len(found) != graph.n:
                raise OptionError(f"SCM expects {name} for each of {graph.n} variables; got {len(found)}.")
            object.__setattr__(self, name, found)
        object.__setattr__(self, "graph", graph)
        for law in self.noise:
            require_law(law)
        self._probe()

    @classmethod
    def linear(cls, weights: Tensor, noise: Distribution | Sequence[Distribution] | None = None) -> "SCM":
        """`z_j = sum_i weights[i, j] z_i + e_j`, of a matrix `(n, n)` that is zero where there is no edge.

        Raises: `ShapeError`, `OptionError`.
        """
        graph = DAG.from_adjacency(weights)
        mechanisms = [Linear(tuple(weights[list(parents), j].tolist())) for j, parents in enumerate(graph.parents)]
        return cls(graph, mechanisms, noise)

    @property
    def n(self) -> int:
        """Number of variables."""
        return self.graph.n

    def solve(self, noise: Tensor) -> Tensor:
        """The causal variables `(*batch, n)` of noises `(*batch, n)`.

        Raises: `ShapeError`, `TensorError`; `ModelError` where a mechanism gives NaN or infinity.
        """
        return self._solved(self._rows(noise, "noise")).reshape(noise.shape)

    def abduct(self, z: Tensor) -> Tensor:
        """The noises `(*batch, n)` of which causal variables `(*batch, n)` come; the inverse of `solve`.

        Raises: `ShapeError`, `TensorError`; `ModelError` after `Do`, which leaves no noise to find.
        """
        rows = self._rows(z, "z")
        found = [f.inverse(rows[:, i], rows[:, self.graph.parents[i]]) for i, f in enumerate(self.mechanisms)]
        return torch.stack(found, -1).reshape(z.shape)

    def sample(self, *batch: int, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float64) -> Tensor:
        """Causal variables `(*batch, n)`. Raises: `OptionError`; `ModelError` where a mechanism gives NaN or infinity."""
        return self.solve(self.sample_noise(*batch, generator=generator, dtype=dtype))

    def sample_noise(self, *batch: int, generator: torch.Generator | None = None, dtype: torch.dtype = torch.float64) -> Tensor:
        """Noises `(*batch, n)`. Raises: `OptionError`."""
        if not all(isinstance(one, int) and one >= 0 for one in batch):
            raise OptionError(f"expected the numbers of draws, such as sample(100) or sample(4, 100); got {batch!r}.")
        return drawn(self.noise, batch, generator).to(dtype)

    def log_prob(self, z: Tensor) -> Tensor:
        """Log-density `(*batch)` of causal variables, against Lebesgue measure of all that were not set by `Do`.

        Raises: `ShapeError`, `TensorError`; `ModelError` where a mechanism finds no noise.
        """
        rows, total = self._rows(z, "z"), torch.zeros((), dtype=z.dtype, device=z.device)
        for i, (parents, mechanism, law) in enumerate(self.variables):
            found = mechanism.log_prob(rows[:, i], rows[:, parents], law)
            if bool(found.isnan().any()):
                raise ModelError(f"{self.names[i]} has no density at some of the points: its mechanism gives NaN there.")
            total = total + found
        return total.reshape(z.shape[:-1])

    def solution_function(self, i: int) -> "SolutionFunction":
        """How variable i comes of all noises. Raises: `OptionError`."""
        self._require_targets((i,))
        return SolutionFunction(self, i)

    def intervene(self, *interventions: Intervention) -> "SCM":
        """The model with mechanisms changed, by one intervention after the other.

        Raises: `OptionError` for what is no intervention, targets that are no variables, or edges that close a cycle.
        """
        variables = list(self.variables)
        for intervention in interventions:
            if not isinstance(intervention, Intervention):
                raise OptionError(f"expected interventions, such as Do({{0: 1.0}}); got {intervention!r}.")
            self._require_targets(intervention.targets)
            for i in intervention.targets:
                variables[i] = intervention.replaced(i, variables[i])
        parents, mechanisms, noise = zip(*variables, strict=True)
        return SCM(DAG(parents), mechanisms, noise, self.names)

    def counterfactual(self, z: Tensor, *interventions: Intervention, generator: torch.Generator | None = None) -> Tensor:
        """What z would have been under interventions, `(*batch, n)`: noise found, mechanisms changed, solved again.

        Noise that an intervention draws anew is drawn; all other is kept. Variables that no target leads to are returned
        bit by bit. The generator is used where noise is drawn.

        Raises: `ShapeError`, `TensorError`, `OptionError`, `ModelError`.
        """
        changed, noise = self.intervene(*interventions), self.abduct(z)
        for i in range(self.n):
            self._require_finite(i, noise[..., i])
        noise, _ = changed.redrawn(noise, [i for one in interventions for i in one.fresh], generator)
        return changed.resolved(z, noise, [i for one in interventions for i in one.targets])

    def redrawn(
        self, noise: Tensor, fresh: Sequence[int], generator: torch.Generator | None = None
    ) -> tuple[Tensor, tuple[int, ...]]:
        """Noises with those of some variables drawn anew, and which these are."""
        where = tuple(sorted(set(fresh)))
        if where:
            noise = noise.clone()
            noise[..., where] = drawn([self.noise[i] for i in where], noise.shape[:-1], generator).to(noise)
        return noise, where

    def resolved(self, z: Tensor, noise: Tensor, targets: Sequence[int]) -> Tensor:
        """z with the targets and all their descendants solved again, from noises `(*batch, n)`."""
        moved = {j for i in targets for j in (i, *self.graph.descendants(i))}
        return self._solved(self._rows(noise, "noise"), self._rows(z, "z"), moved).reshape(z.shape)

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """Parents, mechanism and noise of each variable."""
        return tuple(map(Variable, self.graph.parents, self.mechanisms, self.noise))

    def _solved(self, noise: Tensor, known: Tensor | None = None, moved: set[int] | None = None) -> Tensor:
        z = [noise[:, i] if known is None else known[:, i] for i in range(self.n)]
        for i in self.graph.order:
            if moved is None or i in moved:
                parents = [z[j] for j in self.graph.parents[i]]
                z[i] = self.mechanisms[i].forward(noise[:, i], torch.stack(parents, -1) if parents else noise[:, :0])
                self._require_finite(i, z[i])
        return torch.stack(z, -1)

    def _rows(self, points: Tensor, name: str) -> Tensor:
        if not isinstance(points, Tensor) or not points.is_floating_point():
            raise TensorError(f"{name} must be a tensor of real numbers (*batch, {self.n}); got {type(points).__name__}.")
        if points.ndim < 1 or points.shape[-1] != self.n:
            raise ShapeError(f"{name} must be (*batch, {self.n}), a number for each variable; got {tuple(points.shape)}.")
        if not bool(torch.isfinite(points).all()):
            raise TensorError(f"{name} holds NaN or infinity.")
        return points.reshape(-1, self.n)

    def _require_finite(self, i: int, found: Tensor) -> None:
        bad = int((~torch.isfinite(found)).sum())
        if bad:
            raise ModelError(
                f"the mechanism of {self.names[i]} gives NaN or infinity for finite numbers, in {bad} of {found.numel()} rows: "
                "it must be a map of the whole line for all values of the parents."
            )

    def _require_targets(self, targets: Sequence[int]) -> None:
        wrong = [i for i in targets if not isinstance(i, int) or not 0 <= i < self.n]
        if wrong:
            raise OptionError(f"there are the variables 0 to {self.n - 1}; got the target {wrong[0]!r}.")

    def _probe(self) -> None:
        generator = torch.Generator().manual_seed(0)
        noise = self.sample_noise(DRAWS, generator=generator)
        values = torch.randn(noise.shape, generator=generator, dtype=noise.dtype)
        for i, (parents, mechanism, law) in enumerate(self.variables):
            if not isinstance(mechanism, Constant | Shifted):
                _require_inverse(self.names[i], mechanism, noise[:PROBES, i], values[:PROBES, parents])
                _require_one_way(self.names[i], mechanism, _grid(law, noise[:, i]), values[:3, parents])


@dataclass(frozen=True, eq=False)
class SolutionFunction:
    """Variable i as a function `s_i(e_i; e_others)` of all noises; a diffeomorphism of the line in its own."""

    scm: SCM
    i: int

    def __call__(self, noise: Tensor) -> Tensor:
        """The variable, `(*batch)`, of all noises `(*batch, n)`."""
        return self.scm.solve(noise)[..., self.i]

    def inverse(self, value: Tensor, noise: Tensor) -> Tensor:
        """Its own noise `(*batch)` that gives a value `(*batch)` beside the others' noises, of `(*batch, n)`."""
        if value.shape != noise.shape[:-1]:
            raise ShapeError(f"value {tuple(value.shape)} and noise {tuple(noise.shape)} differ in their batch.")
        z = self.scm.solve(noise).clone()
        z[..., self.i] = value
        return self.scm.abduct(z)[..., self.i]

    def log_derivative(self, noise: Tensor) -> Tensor:
        """`log |ds_i / de_i|`, `(*batch)`."""
        rows, z = noise.reshape(-1, self.scm.n), self.scm.solve(noise).reshape(-1, self.scm.n)
        parents = z[:, self.scm.graph.parents[self.i]]
        return self.scm.mechanisms[self.i].log_derivative(rows[:, self.i], parents).reshape(noise.shape[:-1])


def drawn(laws: Sequence[Distribution], batch: Sequence[int], generator: torch.Generator | None = None) -> Tensor:
    """Independent draws `(*batch, n)` of n laws of one number."""
    if generator is None:
        return torch.stack([law.sample(torch.Size(batch)) for law in laws], -1)
    with seeded(int(torch.randint(2**62, (), generator=generator))):
        return drawn(laws, batch)


def _require_inverse(name: str, mechanism: Mechanism, noise: Tensor, parents: Tensor) -> None:
    try:
        value = mechanism.forward(noise, parents)
        sound = value.shape == noise.shape and bool(torch.isfinite(value).all())
    except (RuntimeError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(f"the mechanism of {name} fails on noise (N,) and parents {tuple(parents.shape)}: {error}") from error
    if not sound:
        raise ModelError(f"the mechanism of {name} must give finite numbers (N,) for noise (N,) and parents (N, k).")
    back, slope = mechanism.inverse(value, parents), mechanism.log_derivative(noise, parents)
    tolerance = torch.finfo(noise.dtype).eps ** 0.5 * (1 + noise.abs())
    if not bool(((back - noise).abs() <= tolerance).all()) or not bool(torch.isfinite(slope).all()):
        raise ModelError(
            f"the mechanism of {name} is not invertible in its noise: its inverse leads back to other noise, or its derivative "
            "is zero or infinite."
        )


def _grid(law: Distribution, draws: Tensor) -> Tensor:
    """Increasing noises far beyond a law's draws, as far as it has mass there."""
    low, middle, high = draws.quantile(torch.tensor([0.16, 0.5, 0.84], dtype=draws.dtype))
    grid = middle + torch.linspace(-WIDE, WIDE, STEPS, dtype=draws.dtype) * (high - low) / 2
    known = support(law)
    inside = (grid >= draws.min()) & (grid <= draws.max()) if known is None else known.check(grid)
    return grid[inside]


def _require_one_way(name: str, mechanism: Mechanism, grid: Tensor, parents: Tensor) -> None:
    """Check that values rise, or fall, all along a grid of noises, for each row of parents; where floats can tell."""
    noise, rows = grid.repeat(len(parents)), parents.repeat_interleave(len(grid), 0)
    value = mechanism.forward(noise, rows)
    if bool(value.isnan().any()):
        raise ModelError(
            f"the mechanism of {name} must give numbers for all noise that its law may draw; it gives NaN for some."
        )
    value = value.reshape(len(parents), -1)
    step, rounding = value.diff(dim=-1), ROUNDINGS * torch.finfo(value.dtype).eps * (1 + value.abs())
    least = torch.maximum(rounding[:, 1:], rounding[:, :-1])
    if bool(((step > least).any(-1) & (step < -least).any(-1)).any()):
        raise ModelError(
            f"the mechanism of {name} is not invertible in its noise: it rises for some noise and falls for other, between "
            f"{float(grid[0]):.3g} and {float(grid[-1]):.3g}."
        )
