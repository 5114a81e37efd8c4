r"""A structure learner from interventions: edge probabilities, and networks that predict each variable from drawn parents."""

import math
import sys
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.causal.checks import require_pairs
from egregium.causal.dag import DAG
from egregium.causal.normal_scores import normal_scores
from egregium.errors import OptionError

PAIRS = 50  # that each variable must be the target of
FLOOR = -4.0  # of log standard deviations, against a spike on few rows
REACH = 5.0  # largest logit, so that an edge can come back
SLOPE = 0.1  # of activations below 0


@dataclass(frozen=True)
class ENCO:
    """How `learn_graph` learns.

    Attributes:
        sparsity: nats by which an edge must improve the prediction of its child, averaged over interventions on others.
        rounds: of fitting the networks, then the graph.
        network_steps, graph_steps: of each round.
        batch: rows of a step.
        width: of the hidden layer.
        network_rate, existence_rate, direction_rate: learning rates of Adam.
    """

    sparsity: float = 0.01
    rounds: int = 12
    network_steps: int = 200
    graph_steps: int = 40
    batch: int = 256
    width: int = 32
    network_rate: float = 1e-2
    existence_rate: float = 5e-2
    direction_rate: float = 1e-1

    def __post_init__(self) -> None:
        counts = (self.rounds, self.network_steps, self.graph_steps, self.batch, self.width)
        rates = (self.network_rate, self.existence_rate, self.direction_rate)
        if not all(isinstance(one, int) and one >= 1 for one in counts):
            raise OptionError(f"ENCO expects whole numbers from 1 of rounds, steps, rows, graphs and width; got {self}.")
        if not all(math.isfinite(one) and one > 0 for one in rates) or not 0 <= self.sparsity < math.inf:
            raise OptionError(f"ENCO expects positive rates and a sparsity from 0; got {self}.")


@dataclass(frozen=True, eq=False)
class LearnedGraph:
    """What `learn_graph` found.

    Attributes:
        graph: edges of which existence and direction are both more likely than not, in the order that directions give.
        probability: `(n, n)`, of the edge from i to j: `existence * direction`.
        existence: `(n, n)`, that j depends on i if the edge is not the other way round.
        direction: `(n, n)`, that i comes before j; entries (i, j) and (j, i) sum to 1.
    """

    graph: DAG
    probability: Tensor
    existence: Tensor
    direction: Tensor


def learn_graph(
    z: Tensor, z_after: Tensor, targets: Tensor, spec: ENCO | None = None, *, seed: int = 0, progress: bool = False
) -> LearnedGraph:
    r"""The graph of causal variables by efficient neural causal discovery, from pairs before and after atomic interventions.

    Graphs are drawn edge by edge with probabilities :math:`\sigma(\gamma_{ij}) \sigma(\theta_{ij})`, existence times direction,
    :math:`\theta_{ij} = -\theta_{ji}`. Two steps take turns: networks learn the conditional density of each variable given
    the parents that are drawn for it, half of the rows from variables before, half from variables after where it is not the
    target; then, with the networks fixed, losses :math:`L(z_j)`, minus log-densities of the variables after, say which edges
    predict what interventions do:

    .. math::
        \partial \gamma_{ij} = \sigma'(\gamma_{ij}) \sigma(\theta_{ij}) \,
            E \bigl[ L_{i \to j}(z_j) - L_{i \not\to j}(z_j) + \lambda \bigr], \qquad
        \partial \theta_{ij} = \sigma'(\theta_{ij}) \bigl( \sigma(\gamma_{ij}) E_i [ L_{i \to j}(z_j) - L_{i \not\to j}(z_j) ]
            - \sigma(\gamma_{ji}) E_j [ L_{j \to i}(z_i) - L_{j \not\to i}(z_i) ] \bigr) / n,

    the first over interventions on any variable but j, those of :math:`E_i` on i: a mechanism holds on when its causes are
    set, and the reverse regression does not. Three things differ from the paper: each difference is of the same rows and the
    same other edges, with the edge and without, so that it varies less; networks also see which parents were drawn, not zeros
    in the place of the others; and they are fitted to variables after as well, since inputs that never occur together before
    an intervention do so after it.

    The networks have one hidden layer and see normal scores (ranks), so that increasing maps of single variables change
    nothing; densities are normal, with mean and variance from the network. So it sees dependence in location and scale. An
    edge that improves prediction by less than `sparsity` nats is left out. One network for all sets of parents is not exact for
    each: with 10 linear variables edges that are not there seemed to bring 0.005 to 0.02 nats, so that a smaller sparsity finds
    false edges there, and a larger one misses edges of nonlinear mechanisms that bring as little (docs/results/graphs.md).

    Args:
        z, z_after: `(N, n)`, n >= 2, causal variables before and after, up to order and a diffeomorphism of each.
        targets: `(N,)`, 0 for none, i + 1 for variable i; each variable must be the target of 50 pairs.
        spec: `ENCO()` by default.
        seed: of draws and starts: equal seeds give equal answers on one machine.
        progress: print the rounds, to standard error.

    Cost: a step of the graph takes O(batch n^2 width) operations: some 6 s at n = 4, 20 s at n = 10.

    Raises: `ShapeError`, `TensorError` (NaN, constant columns, targets out of range or with too few pairs); `OptionError`.

    References: Lippe, Cohen, Gavves 2022 (arXiv 2107.10483).

    >>> generator = torch.Generator().manual_seed(0)
    >>> noise, fresh = torch.randn(2, 900, 2, generator=generator)
    >>> targets = torch.arange(900) % 3
    >>> root = torch.where(targets == 1, fresh[:, 0], noise[:, 0])
    >>> child = torch.where(targets == 2, fresh[:, 1], 2 * root + noise[:, 1])
    >>> z = torch.stack([noise[:, 0], 2 * noise[:, 0] + noise[:, 1]], 1)
    >>> quick = ENCO(rounds=4, network_steps=25, graph_steps=10, width=8, existence_rate=0.2, direction_rate=0.3)
    >>> learn_graph(z, torch.stack([root, child], 1), targets, quick).graph.edges
    ((0, 1),)
    """
    spec = ENCO() if spec is None else spec
    if not isinstance(spec, ENCO):
        raise OptionError(f"learn_graph(spec) is an ENCO(...), or None; got {spec!r}.")
    require_pairs(z, z_after, targets, PAIRS)
    state = _State.start(z, z_after, targets, spec, seed)
    for k in range(spec.rounds):
        state.slow_down(k)
        for _ in range(spec.network_steps):
            state.fit_networks()
        for _ in range(spec.graph_steps):
            state.fit_graph()
        if progress:
            edges = int((state.existence * state.direction > 0.25).sum())
            print(f"learn_graph: round {k + 1} of {spec.rounds}, some {edges} edges", file=sys.stderr, flush=True)
    return state.result()


@dataclass(frozen=True, eq=False)
class _Networks:
    """n networks side by side: of the values of drawn parents, and of which these are, mean and log standard deviation.

    Without the latter, a parent at 0 and none would be one, and an edge that is not there pays by telling them apart.
    """

    enter: Tensor  # (child, parent, width)
    drawn: Tensor  # (child, parent, width)
    bias: Tensor
    leave: Tensor
    offset: Tensor

    @classmethod
    def start(cls, n: int, width: int, generator: torch.Generator) -> "_Networks":
        enter = torch.randn(n, n, width, generator=generator) / n**0.5  # target, input, hidden
        bias = torch.randn(n, width, generator=generator)
        leave = 0.1 * torch.randn(n, width, 2, generator=generator) / width**0.5
        drawn = torch.zeros(n, n, width)
        return cls(*(one.requires_grad_() for one in (enter, drawn, bias, leave, torch.zeros(n, 2))))

    @property
    def parameters(self) -> list[Tensor]:
        return [self.enter, self.drawn, self.bias, self.leave, self.offset]

    def hidden(self, z: Tensor, parents: Tensor) -> Tensor:
        """`(n, rows, width)` before activation, of `z` `(rows, n)` and `parents` `(rows, n, n)`, of variable j in row j."""
        given = torch.cat([z[:, None] * parents, parents], -1).transpose(0, 1)
        return torch.baddbmm(self.bias[:, None], given, torch.cat([self.enter, self.drawn], 1))

    def flipped(self, hidden: Tensor, z: Tensor, sign: Tensor) -> Tensor:
        """`(n, n, rows, width)`, hidden with the edge from the second variable to the first taken or left as `sign` says."""
        return hidden[:, None] + sign[..., None] * (z.T[..., None] * self.enter[:, :, None] + self.drawn[:, :, None])

    def loss(self, hidden: Tensor, z: Tensor) -> Tensor:
        """Minus the log-density `(n, rows)`, but for a constant, of `(n, rows, width)` and targets `(n, rows)`."""
        active = torch.where(hidden > 0, hidden, SLOPE * hidden)
        mean, log_sd = torch.baddbmm(self.offset[:, None], active, self.leave).unbind(-1)
        log_sd = log_sd.clamp_min(FLOOR)
        return log_sd + ((z - mean) * (-log_sd).exp()).square() / 2


@dataclass(frozen=True, eq=False)
class _State:
    """Data, networks, and the logits of existence and direction, all changed in place."""

    before: Tensor  # (N, n) normal scores
    after: Tensor  # (M, n) of pairs with a target, sorted by it
    ends: Tensor  # (n + 1,), rows of each target in `after`
    networks: _Networks
    gamma: Tensor
    theta: Tensor
    spec: ENCO
    generator: torch.Generator
    optimizers: tuple[torch.optim.Optimizer, torch.optim.Optimizer]

    @classmethod
    def start(cls, z: Tensor, z_after: Tensor, targets: Tensor, spec: ENCO, seed: int) -> "_State":
        generator = torch.Generator().manual_seed(seed)
        n, of = z.shape[1], targets.cpu().long()
        before, after = (one.detach().cpu() for one in (z, z_after))
        order = of.argsort(stable=True)[int((of == 0).sum()) :]
        networks = _Networks.start(n, spec.width, generator)
        gamma, theta = torch.zeros(n, n, requires_grad=True), torch.zeros(n, n, requires_grad=True)
        graph = [
            {"params": [gamma], "lr": spec.existence_rate, "betas": (0.9, 0.9)},
            {"params": [theta], "lr": spec.direction_rate, "betas": (0.9, 0.999)},
        ]
        return cls(
            before=normal_scores(before).float(),
            after=normal_scores(after, before).float()[order],
            ends=torch.cat([torch.zeros(1, dtype=torch.long), of.bincount(minlength=n + 1)[1:].cumsum(0)]),
            networks=networks,
            gamma=gamma,
            theta=theta,
            spec=spec,
            generator=generator,
            optimizers=(torch.optim.Adam(networks.parameters, lr=spec.network_rate), torch.optim.Adam(graph)),
        )

    @property
    def n(self) -> int:
        return self.before.shape[1]

    @property
    def existence(self) -> Tensor:
        return self.gamma.detach().sigmoid().fill_diagonal_(0)

    @property
    def direction(self) -> Tensor:
        return self.theta.detach().sigmoid().fill_diagonal_(0)

    def slow_down(self, done: int) -> None:
        """The networks' rate falls to a tenth, along a cosine, so that later rounds see less of their noise."""
        share = 0.55 + 0.45 * math.cos(math.pi * done / self.spec.rounds)
        self.optimizers[0].param_groups[0]["lr"] = share * self.spec.network_rate

    def fit_networks(self) -> None:
        """A step on variables before, each row with parents of its own."""
        half = self.spec.batch // 2
        untouched = self.before[torch.randint(len(self.before), (self.spec.batch - half,), generator=self.generator)]
        set_, of = self._after(half)
        z, kept = torch.cat([untouched, set_]), torch.cat([torch.ones(self.n, self.spec.batch - half), 1 - of], 1)
        self.optimizers[0].zero_grad()
        loss = self.networks.loss(self.networks.hidden(z, self._drawn()), z.T)
        (kept * loss).sum().div(self.spec.batch).backward()
        self.optimizers[0].step()

    @torch.no_grad()
    def fit_graph(self) -> None:
        """A step on variables after, as many of each target but for chance."""
        z, of = self._after(self.spec.batch)
        worse = self._worse(z)  # (child, parent, rows)
        kept = 1 - of
        over = torch.einsum("jib,jb->ij", worse, kept) / kept.sum(1)
        under = torch.einsum("jib,ib->ij", worse, of) / of.sum(1).clamp_min(1)[:, None]
        existence, direction = self.existence, self.direction
        pull = existence * under
        self.gamma.grad = existence * (1 - existence) * direction * (over + self.spec.sparsity)
        self.theta.grad = direction * direction.T * (pull - pull.T) / self.n
        self.optimizers[1].step()
        for logits in (self.gamma, self.theta):
            logits.clamp_(-REACH, REACH)

    def _after(self, number: int) -> tuple[Tensor, Tensor]:
        """Variables after `(number, n)`, each target equally likely, and `(n, number)` 1 where a variable is the target."""
        target = torch.randint(self.n, (number,), generator=self.generator)
        start, length = self.ends[target], self.ends[target + 1] - self.ends[target]
        share = torch.rand(number, generator=self.generator, dtype=torch.float64)
        return self.after[start + (share * length).long()], torch.eye(self.n)[:, target]

    def _worse(self, z: Tensor) -> Tensor:
        """`L_(i -> j)(z_j) - L_(i -/> j)(z_j)` of rows `(rows, n)`, as `(j, i, rows)`."""
        parents = self._drawn()
        hidden = self.networks.hidden(z, parents)  # (j, rows, width)
        loss = self.networks.loss(hidden, z.T)[:, None]
        sign = (1 - 2 * parents).permute(1, 2, 0)  # (j, i, rows): what a flip of the edge adds
        flipped = self.networks.flipped(hidden, z, sign)
        flat = self.networks.loss(flipped.flatten(1, 2), z.T[:, None].expand(sign.shape).flatten(1))
        return sign * (flat.reshape(sign.shape) - loss)

    def _drawn(self) -> Tensor:
        """Parents `(rows, n, n)`, entry (j, i) 1 where i is one of j, of each row its own."""
        chance = (self.existence * self.direction).T
        return (torch.rand(self.spec.batch, self.n, self.n, generator=self.generator) < chance).float()

    def result(self) -> LearnedGraph:
        existence, direction = self.existence.double(), self.direction.double()
        order = _order(existence * direction)
        found = (existence > 0.5) & (direction > 0.5)
        place = torch.tensor(order).argsort()
        return LearnedGraph(
            graph=DAG.from_adjacency(found & (place[:, None] < place)),
            probability=existence * direction,
            existence=existence,
            direction=direction,
        )


def _order(probability: Tensor) -> list[int]:
    """Again and again the variable that is least likely to depend on one of those left."""
    left, found = list(range(len(probability))), []
    while left:
        found.append(left.pop(int(probability[left][:, left].sum(0).argmin())))
    return found
