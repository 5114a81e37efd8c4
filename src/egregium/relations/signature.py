"""Which explicit geometry fits a table of distances best, judged by distances that it was not shown."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import OptionError, ShapeError
from egregium.relations.embedding import checked, embed
from egregium.spaces import Euclidean, Explicit, Hyperbolic, Product, Sphere, Torus

CANDIDATES: tuple[Explicit, ...] = (
    Euclidean(1), Sphere(1), Euclidean(2), Sphere(2), Hyperbolic(2), Torus(2),
    Euclidean(3), Sphere(3), Hyperbolic(3), Product(Sphere(1), Hyperbolic(2)),
)  # fmt: skip


@dataclass(frozen=True, eq=False, repr=False)
class Signature:
    """What explicit spaces make of distances.

    Attributes:
        space: the choice: the simplest candidate that no other beats by more than a standard error.
        candidates: all of them, in the order of their held-out distortion.
        held_out: `(K, folds)`, mean `|d / D - 1|` of each over the pairs of each fold, placed without them.
        gap: `(K,)`, by how much each is worse than the best on the same folds, on average.
        error: `(K,)`, standard errors of these.
    """

    space: Explicit
    candidates: tuple[Explicit, ...]
    held_out: Tensor
    gap: Tensor
    error: Tensor

    def __repr__(self) -> str:
        rows = zip(self.candidates, self.held_out.mean(1).tolist(), self.gap.tolist(), self.error.tolist(), strict=True)
        table = [f"  {mean:8.4f}  {gap:+8.4f} +- {error:.4f}  {space!r}" for space, mean, gap, error in rows]
        return "\n".join([f"Signature: {self.space!r}; held-out distortion, gap to the best:", *table])


def signature(
    distances: Tensor,
    candidates: Sequence[Explicit] = CANDIDATES,
    *,
    folds: int = 5,
    seed: int = 0,
    starts: int = 12,
    rtol: float = 1e-3,
    max_steps: int = 300,
    progress: bool = False,
) -> Signature:
    r"""Ranks explicit spaces by how well they predict distances `(N, N)` that were held out.

    The pairs are dealt into folds. Each candidate, its scales free, is fitted to all folds but one (`eg.embed`), and judged by
    the mean of `|d / D - 1|` on that one. Chosen is the one of least dimension, and of these a flat one first, that is worse
    than the best by no more than a standard error of the difference over the folds. Distances are all that enters: of geodesic
    distances of a trained model the answer does not depend on how it draws its latent space.

    Args:
        distances: symmetric, positive off the diagonal, NaN where not known.
        candidates: explicit spaces; by default some of dimension 1 to 3.
        folds: two at least.
        seed: of the folds and of the placements.
        starts, rtol, max_steps: as in `embed`; fits that are not at rest are judged as they are.
        progress: print which candidate is at work, to standard error.

    Cost: `embed` once a candidate and fold: with 40 points some 2 to 10 seconds each.

    Raises: what `embed` raises; `OptionError`, `ShapeError`.

    References: Gu, Sala, Gunel, Re 2019 (Learning mixed-curvature representations in product spaces).
    """
    if not candidates or not all(isinstance(space, Explicit) for space in candidates):
        raise OptionError(f"signature ranks explicit spaces, one at least; got {candidates!r}.")
    if folds < 2:
        raise OptionError(f"signature needs two folds at least; got {folds}.")
    matrix = checked(distances)
    if len(matrix) < 4 + folds:
        raise ShapeError(f"signature with {folds} folds needs {4 + folds} points at least; got {len(matrix)}.")
    fold = _dealt(len(matrix), folds, seed)
    rows = []
    for space in candidates:
        if progress:
            print(f"signature: {space!r}", file=sys.stderr, flush=True)
        losses = []
        for held in range(folds):
            found = embed(matrix.masked_fill(fold == held, torch.nan), space, starts=starts, seed=seed, rtol=rtol,
                          max_steps=max_steps, on_fail="mark")  # fmt: skip
            wrong = (found.distances / matrix - 1).abs()[(fold == held) & ~matrix.isnan()]
            losses.append(wrong.mean())
        rows.append(torch.stack(losses))
    return _chosen(tuple(candidates), torch.stack(rows))


def _dealt(n: int, folds: int, seed: int) -> Tensor:
    """The fold of each pair `(N, N)`, symmetric, -1 on the diagonal; each point's pairs are in all folds about equally."""
    first, second = torch.triu_indices(n, n, 1)
    shift = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    dealt = torch.full((n, n), -1)
    dealt[first, second] = dealt[second, first] = (shift[first] + shift[second]) % folds
    return dealt


def _chosen(candidates: tuple[Explicit, ...], held_out: Tensor) -> Signature:
    order = held_out.mean(1).argsort()
    candidates, held_out = tuple(candidates[k] for k in order.tolist()), held_out[order]
    apart = held_out - held_out[:1]
    gap, error = apart.mean(1), apart.std(1) / apart.shape[1] ** 0.5
    close = [space for space, enough in zip(candidates, (gap <= error).tolist(), strict=True) if enough]
    simplest = min(close, key=lambda space: (space.dim, not isinstance(space, Euclidean)))
    return Signature(simplest, candidates, held_out, gap, error)
