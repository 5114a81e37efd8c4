"""A trained network: it encodes observations as variables, names targets, and is a structural causal model on a graph."""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.causal.dag import DAG
from egregium.causal.dependence import graph_by_dependence
from egregium.causal.interventions import InterventionLaw
from egregium.causal.lcm import LatentCausalModel
from egregium.causal.learning.explicit import Explicit
from egregium.causal.learning.ilcm import RAREST, NoiseModel
from egregium.causal.learning.mechanisms import LearnedMechanism
from egregium.causal.learning.method import Method, PairModel
from egregium.causal.learning.solutions import Identity
from egregium.causal.learning.standardisation import Standardisation
from egregium.causal.scm import SCM
from egregium.causal.solution_graph import SolutionGraph, graph_by_solution
from egregium.errors import OptionError, ShapeError, TensorError
from egregium.numerics.derivatives import row_chunks

TOLERANCE = 0.25  # of edges that are read off solution functions
PROBES = 500  # noises at which derivatives are taken
ROW = 4096  # numbers that a row of a network takes, roughly


@dataclass(frozen=True, eq=False, repr=False)
class Learned:
    """What `fit` gives.

    Attributes:
        method: its hyper-parameters.
        model: the network, on standardised observations.
        front: their standardisation.
        seed: of the training.
        history: the objective of single batches, a hundred or more over the training, the last step's among them.
    """

    method: Method
    model: PairModel
    front: Standardisation
    seed: int
    history: tuple[float, ...]

    @property
    def n(self) -> int:
        """Number of latent variables."""
        return self.method.n

    @torch.no_grad()
    def noise(self, x: Tensor) -> Tensor:
        """Noise encodings `(N, n)` of observations `(N, *shape)`: posterior means."""
        return self._mapped(lambda rows: self.model.encode(self.front(rows)), self._seen(x))

    @torch.no_grad()
    def encode(self, x: Tensor) -> Tensor:
        """Variables `(N, n)` of observations `(N, *shape)`: causal ones, where the method knows of causes."""
        return self._mapped(lambda rows: self.model.solution.solve(self.model.encode(self.front(rows))), self._seen(x))

    @torch.no_grad()
    def decode_noise(self, e: Tensor) -> Tensor:
        """Observations `(N, *shape)` of noise encodings `(N, n)`."""
        _require_rows(e, (self.n,), "noise encodings")
        return self._mapped(lambda rows: self.front.inverse(self.model.decode(rows.to(self.front.centre))), e)

    @torch.no_grad()
    def targets(self, x: Tensor, x_after: Tensor) -> Tensor:
        """Likeliest targets `(N,)` of pairs: 0 for none, i + 1 for variable i."""
        pair = self._seen(x), self._seen(x_after)
        if len(x) != len(x_after):
            raise ShapeError(f"pairs are equally many before and after; got {len(x)} and {len(x_after)}.")
        return self._mapped(lambda a, b: self.model.found_targets(self.front(a), self.front(b)), *pair)

    def solution_graph(self, *, tolerance: float = TOLERANCE) -> SolutionGraph:
        """The graph of the solution functions, by `graph_by_solution` at noises from N(0, I).

        Learned functions depend a little on what they should not: on linear models of 4 variables, strengths of 0.02 to 0.17
        were seen where there is no edge, of 10 variables of 0.3 and, in one of three, 0.8.
        """
        noise = torch.randn(PROBES, self.n, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        return graph_by_solution(copy.deepcopy(self.model.solution).double().solve, noise, tolerance=tolerance)

    def graph(self, x: Tensor, x_after: Tensor, *, targets: Tensor | None = None, tolerance: float = TOLERANCE) -> DAG:
        """The graph on pairs of observations: what both samples and solution functions show.

        Samples, by `graph_by_dependence` on found variables and targets, err where little of a variable is left by its causes:
        a small part of another one, mixed into it, then explains much of the rest. Solution functions, by `solution_graph`,
        count in units of noises, and err elsewhere; `ELCM` has its learned graph instead. Of methods that know of no causes
        samples alone are asked.

        Args:
            x, x_after: `(N, *shape)`, as for `graph_by_dependence`; better not those of the training.
            targets: `(N,)`, 0 for none and i + 1 for variable i; by default those that are found.
            tolerance: least strength of an edge in the solution functions.

        Raises: `ShapeError`, `TensorError` (too few pairs of a target as well); `OptionError`.
        """
        targets = self.targets(x, x_after) if targets is None else targets
        shown = graph_by_dependence(self.encode(x), self.encode(x_after), targets).graph.adjacency
        if isinstance(self.model.solution, Identity):
            return DAG.from_adjacency(shown)
        return DAG.from_adjacency(shown & self._own_graph(tolerance).adjacency)

    def to_scm(self, graph: DAG | None = None) -> SCM:
        """The structural causal model on a graph, in float64, with noises N(0, 1).

        A solution function is a mechanism where it depends on noises of ancestors through the parents' values alone; given
        those, noises of other ancestors are set to 0. On the true graph of a model that was learned well nothing is lost.

        Args:
            graph: by default that of `solution_graph`, or of `ELCM` its own; `graph` finds it with the help of pairs,
                `learn_graph` from them alone.

        Raises: `OptionError` for a graph of other variables.
        """
        graph = self._own_graph() if graph is None else graph
        if graph.n != self.n:
            raise OptionError(f"this model has {self.n} variables; the graph has {graph.n}.")
        solution = copy.deepcopy(self.model.solution).double()
        return SCM(graph, [LearnedMechanism(solution, graph, i) for i in range(self.n)])

    def to_lcm(self, graph: DAG | None = None) -> LatentCausalModel:
        """The latent causal model on a graph: that model, the decoder, and the law of targets, in float64.

        The decoder's inverse is the encoder, which is one up to what the training left; so `log_prob`, which needs an exact
        one, has no meaning here.
        """
        scm, (model, front) = self.to_scm(graph), copy.deepcopy((self.model, self.front))
        law = model.law.double().clamp_min(RAREST) if isinstance(model, NoiseModel) else torch.ones(self.n + 1)
        interventions = InterventionLaw.atomic(self.n, probabilities=(law / law.sum()).tolist())
        return LatentCausalModel(scm, LearnedDecoder(scm, model.double(), front.double()), interventions)

    def _own_graph(self, tolerance: float = TOLERANCE) -> DAG:
        solution = self.model.solution
        return solution.graph() if isinstance(solution, Explicit) else self.solution_graph(tolerance=tolerance).graph

    def _seen(self, x: Tensor) -> Tensor:
        _require_rows(x, self.front.shape, "observations")
        return x

    def _mapped(self, function: Callable[..., Tensor], *of: Tensor) -> Tensor:
        rows = max(1, len(of[0]))
        width = max(ROW, of[0].numel() // rows)
        return torch.cat([function(*(one[piece] for one in of)) for piece in row_chunks(rows, width)])

    def __repr__(self) -> str:
        steps, last = self.method.steps, self.history[-1] if self.history else float("nan")
        return f"Learned({self.method.name}, n={self.n}, seed {self.seed}, {steps} steps, objective {last:.4g})"


@dataclass(frozen=True, eq=False)
class LearnedDecoder:
    """Observations of causal variables, by the noises that a structural model finds in them."""

    scm: SCM
    model: PairModel
    front: Standardisation

    def __call__(self, z: Tensor) -> Tensor:
        return self.front.inverse(self.model.decode(self.scm.abduct(z)))

    def inverse(self, x: Tensor) -> Tensor:
        """Causal variables of observations; of those off the decoder's image, what the encoder makes of them."""
        return self.scm.solve(self.model.encode(self.front(x)))


def _require_rows(x: Tensor, shape: tuple[int, ...], name: str) -> None:
    if not isinstance(x, Tensor) or not x.is_floating_point():
        raise TensorError(f"{name} are a tensor of real numbers; got {getattr(x, 'dtype', type(x).__name__)}.")
    if x.ndim != len(shape) + 1 or tuple(x.shape[1:]) != shape:
        expected = ", ".join(map(str, ("N", *shape)))
        raise ShapeError(f"{name} of this model are ({expected}); got {tuple(x.shape)}.")
    if not bool(torch.isfinite(x).all()):
        raise TensorError(f"{name} hold NaN or infinity.")
