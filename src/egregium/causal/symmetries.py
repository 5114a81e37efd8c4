"""Isomorphisms of structural causal models without a decoder, where noise may be turned round."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from egregium.causal.scm import SCM
from egregium.errors import ModelError

ElementMap = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class SCMIsomorphism:
    """Variable i of one model is variable `permutation[i]` of another, and whether its noise is mapped increasingly."""

    permutation: tuple[int, ...]
    increasing: tuple[bool, ...]


def scm_isomorphisms(a: SCM, b: SCM, *, number: int = 100, rtol: float = 1e-6) -> Iterator[SCMIsomorphism]:
    r"""All isomorphisms of structural causal models, as long as nothing is observed: several, where an observed model has one.

    Variables are relabelled along an isomorphism of the graphs. The law of a noise leaves two maps of it to another, the
    increasing :math:`\psi = F'^{-1} \circ F` and the decreasing :math:`F'^{-1} \circ (1 - F)`; and the maps
    :math:`\varphi_i(f_i(e_i; z_{pa})) = f'_i(\psi_i(e_i); \varphi_{pa}(z_{pa}))` must not depend on the parents.

    Args:
        number: draws of a, with a fixed seed, on which that is tried.
        rtol: differences that count as none.

    Cost: at most `2^n` trials for each isomorphism of the graphs, far fewer where parents decide. Raises: `ModelError` for
    noise whose law has no `cdf` or `icdf`.

    References:
        Brehmer et al. 2022, arXiv 2203.16437, definition 2.

    >>> from egregium.causal import DAG, Linear
    >>> len(list(scm_isomorphisms(SCM(DAG.empty(2), [Linear()] * 2), SCM(DAG.empty(2), [Linear()] * 2))))
    8
    """
    z = a.sample(number, generator=torch.Generator().manual_seed(0))
    if a.n == b.n:
        for permutation in a.graph.isomorphisms(b.graph):
            for signs in _extended(_Search(a, b, permutation, z, rtol), {}, {}):
                yield SCMIsomorphism(permutation, tuple(signs[i] for i in range(a.n)))


@dataclass(frozen=True, eq=False)
class _Search:
    a: SCM
    b: SCM
    permutation: Sequence[int]
    z: Tensor
    rtol: float

    def element_map(self, i: int, increasing: bool, maps: dict[int, ElementMap]) -> ElementMap | None:
        """The map of variable i, if it is one for all values of the parents."""
        k, parents = self.permutation[i], self.a.graph.parents[i]
        there = sorted(parents, key=lambda j: self.permutation[j])
        pushed = _monotone_map(self.a.noise[i], self.b.noise[k], increasing)

        def given(values: Tensor, old: Tensor, new: Tensor) -> Tensor:
            return self.b.mechanisms[k].forward(pushed(self.a.mechanisms[i].inverse(values, old)), new)

        old = self.z[:, parents]
        new = torch.stack([maps[j](self.z[:, j]) for j in there], -1) if there else old
        first = [some[:1].expand(len(self.z), -1) for some in (old, new)]

        def mapped(values: Tensor) -> Tensor:
            return given(values, *(some[:1].expand(len(values), -1) for some in (old, new)))

        found, expected = given(self.z[:, i], old, new), given(self.z[:, i], *first)
        sound = bool(((found - expected).abs() <= self.rtol * (1 + expected.abs())).all())
        return mapped if sound else None


def _extended(search: _Search, maps: dict[int, ElementMap], signs: dict[int, bool]) -> Iterator[dict[int, bool]]:
    """All ways to go on from the variables that are mapped, in causal order."""
    if len(maps) == search.a.n:
        yield signs
        return
    i = search.a.graph.order[len(maps)]
    for increasing in (True, False):
        found = search.element_map(i, increasing, maps)
        if found is not None:
            yield from _extended(search, maps | {i: found}, signs | {i: increasing})


def _monotone_map(source: Distribution, target: Distribution, increasing: bool) -> ElementMap:
    """The increasing or the decreasing map that carries one law to another."""

    def mapped(e: Tensor) -> Tensor:
        if increasing and source is target:
            return e
        try:
            share = source.cdf(e)
            return target.icdf(share if increasing else 1 - share)
        except NotImplementedError as error:
            raise ModelError(f"symmetries need noise whose law has cdf and icdf; got {source} and {target}.") from error

    return mapped
