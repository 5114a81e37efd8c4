"""Mechanisms of learned solution functions on a graph."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.causal.dag import DAG
from egregium.causal.learning.solutions import Solution
from egregium.causal.mechanisms import Mechanism


@dataclass(frozen=True, eq=False)
class LearnedMechanism(Mechanism):
    """Variable i of its noise and its parents: `s_i(e_i; e)` at noises e that give the parents their values.

    Going through the ancestors in causal order, a parent's noise is what gives it its value beside the noises found before;
    that of any other ancestor is 0, and so is that of all other variables.
    """

    solution: Solution
    graph: DAG
    i: int

    def forward(self, noise: Tensor, parents: Tensor) -> Tensor:
        return self.solution.value(self.i, self._noises(noise, parents))[0]

    def inverse(self, value: Tensor, parents: Tensor) -> Tensor:
        return self.solution.noise(self.i, value, self._noises(torch.zeros_like(value), parents))

    def log_derivative(self, noise: Tensor, parents: Tensor) -> Tensor:
        return self.solution.value(self.i, self._noises(noise, parents))[1]

    def _noises(self, own: Tensor, parents: Tensor) -> Tensor:
        """`(N, n)`."""
        found = dict.fromkeys(range(self.graph.n), torch.zeros_like(own))
        known = dict(zip(self.graph.parents[self.i], parents.unbind(-1), strict=True))
        for j in self.graph.order:
            if j in known:
                found[j] = self.solution.noise(j, known[j], torch.stack(list(found.values()), -1))
        found[self.i] = own
        return torch.stack(list(found.values()), -1)
