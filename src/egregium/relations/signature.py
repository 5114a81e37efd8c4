"""Which explicit geometry fits a table of distances best, judged by distances that it was not shown."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.errors import OptionError, ShapeError
from egregium.relations.embedding import checked, embeddings
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
    starts: int = 48,
    rtol: float = 1e-3,
    max_steps: int = 300,
    progress: bool = False,
) -> Signature:
    r"""Ranks explicit spaces by how well they predict distances `(N, N)` that were held out.

    The pairs are dealt into folds. Each candidate, its scales free, is fitted to all folds but one (`eg.embed`), and judged by
    the mean of `|d / D - 1|` on that one. Chosen is the one of least dimension, and of these a flat one first, that is worse
    than the best by no more than a standard error of the difference over the folds.

    The means of a few folds may agree by chance, so that their variance is taken to be no less than the scatter of the pairs
    within folds makes it. And the fits share most distances, so that the square of the standard error is `1 / k + 1 / (k - 1)`
    of that variance, with k folds (Nadeau and Bengio).

    Distances are all that enters: of geodesic distances of a trained model the answer does not depend on how it draws its
    latent space.

    Args:
        distances: symmetric, positive off the diagonal, NaN where not known.
        candidates: explicit spaces; by default some of dimension 1 to 3.
        folds: two at least.
        seed: of the folds and of the placements.
        starts, rtol, max_steps: as in `embed`; fits that are not at rest are judged as they are.
        progress: print which candidate is at work, to standard error.

    Cost: `embed` once a candidate and fold, the folds together: with 40 points some 20 seconds for all candidates.

    Raises: what `embed` raises; `OptionError`, `ShapeError`.

    References: Gu, Sala, Gunel, Re 2019 (Learning mixed-curvature representations in product spaces); Nadeau and Bengio 2003
    (Inference for the generalization error).
    """
    if not candidates or not all(isinstance(space, Explicit) for space in candidates):
        raise OptionError(f"signature ranks explicit spaces, one at least; got {candidates!r}.")
    if folds < 2:
        raise OptionError(f"signature needs two folds at least; got {folds}.")
    matrix = checked(distances)
    if len(matrix) < 4 + folds:
        raise ShapeError(f"signature with {folds} folds needs {4 + folds} points at least; got {len(matrix)}.")
    first, second = torch.triu_indices(len(matrix), len(matrix), 1)
    fold = _dealt(len(matrix), folds, seed).masked_fill(matrix.isnan(), -1)
    shown = torch.stack([checked(matrix.masked_fill(fold == k, torch.nan)) for k in range(folds)])
    first, second = first[fold[first, second] >= 0], second[fold[first, second] >= 0]
    if int(fold[first, second].bincount(minlength=folds).amin()) < 2:
        raise ShapeError(f"signature needs two known distances at least in each of {folds} folds; got {len(first)} in all.")
    rows = []
    for space in candidates:
        if progress:
            print(f"signature: {space!r}", file=sys.stderr, flush=True)
        found = embeddings(shown, space, like=matrix, starts=starts, seed=seed, rtol=rtol, max_steps=max_steps)
        predicted = torch.stack([fit.distances for fit in found])[fold[first, second], first, second]
        rows.append((predicted / matrix[first, second] - 1).abs())
    return _chosen(tuple(candidates), torch.stack(rows), fold[first, second])


def _dealt(n: int, folds: int, seed: int) -> Tensor:
    """The fold of each pair `(N, N)`, symmetric, -1 on the diagonal; each point's pairs are in all folds about equally."""
    first, second = torch.triu_indices(n, n, 1)
    shift = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    dealt = torch.full((n, n), -1)
    dealt[first, second] = dealt[second, first] = (shift[first] + shift[second]) % folds
    return dealt


def _chosen(candidates: tuple[Explicit, ...], wrong: Tensor, fold: Tensor) -> Signature:
    """From the errors `(K, P)` of pairs that were held out, each in its fold `(P,)`."""
    parts = [wrong[:, fold == k] for k in range(int(fold.max()) + 1)]
    held_out, folds = torch.stack([part.mean(1) for part in parts], 1), len(parts)
    order = held_out.mean(1).argsort()
    candidates, held_out, parts = tuple(candidates[k] for k in order.tolist()), held_out[order], [part[order] for part in parts]
    apart = held_out - held_out[:1]
    within = torch.stack([(part - part[:1]).var(1) / part.shape[1] for part in parts]).mean(0)
    gap, error = apart.mean(1), (torch.maximum(apart.var(1), within) * (1 / folds + 1 / (folds - 1))).sqrt()
    close = [space for space, enough in zip(candidates, (gap <= error).tolist(), strict=True) if enough]
    simplest = min(close, key=lambda space: (space.dim, not isinstance(space, Euclidean)))
    return Signature(simplest, candidates, held_out, gap, error)
