"""How well causal variables, graph, targets and counterfactuals were found, each score beside its ceiling on the truth."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.causal.alignment import Alignment, require_permutation, spearman_mcc
from egregium.causal.checks import require_samples, require_targets
from egregium.causal.dag import DAG
from egregium.causal.disentanglement import DCI, dci
from egregium.causal.graph_distance import LARGEST, graph_edit_distance, structural_hamming_distance
from egregium.errors import OptionError, TensorError


def target_accuracy(true: Tensor, found: Tensor, permutation: Sequence[int]) -> float:
    """Share of pairs whose target was found.

    Args:
        true, found: integer targets `(N,)`, 0 for none and i + 1 for variable i.
        permutation: for each true variable the found one, as in `Alignment.permutation`.

    Raises: `ShapeError`, `TensorError` for what are no targets; `OptionError` for what is no permutation.

    >>> target_accuracy(torch.tensor([0, 1, 2, 2]), torch.tensor([0, 2, 1, 2]), [1, 0])
    0.75
    """
    n = len(permutation)
    require_permutation(permutation, n)
    require_targets(true, found, names=("true", "found"), n=n)
    names = torch.tensor([0, *(k + 1 for k in permutation)], device=true.device)
    return float((names[true.long()] == found).double().mean())


def counterfactual_error(truth: Tensor, found: Tensor) -> float:
    r"""Root mean square error of counterfactuals, `sqrt(E |x' - x|^2 / E |x - E x|^2)`: 1 is the error of the mean.

    Invariant under joint translations, rotations and one scale of both.

    Args:
        truth, found: `(N, *shape)`, what would have been and what was predicted.

    Raises: `ShapeError` for unequal shapes; `TensorError` for NaN or a truth that does not vary.

    >>> truth = torch.tensor([[0.0, 0.0], [2.0, 0.0]])
    >>> counterfactual_error(truth, truth), counterfactual_error(truth, truth.mean(0).expand(2, 2))
    (0.0, 1.0)
    """
    flat = [x.flatten(1) if isinstance(x, Tensor) and x.ndim > 1 else x for x in (truth, found)]
    require_samples(*flat, names=("truth", "found"), rows=2)
    x, guess = (one.detach().double() for one in flat)
    spread = (x - x.mean(0)).square().sum()
    if not float(spread):
        raise TensorError("truth must vary over its rows; all are equal, so that no error is large or small.")
    return float(((guess - x).square().sum() / spread).sqrt())


@dataclass(frozen=True, eq=False, repr=False)
class Scores:
    """All scores of one found model, as `score` computes them; None where what it needs was not given.

    Attributes:
        dci, alignment: of the found variables.
        ceiling, ceiling_alignment: the same of the truth, passed through monotone maps of each variable.
        shd: structural Hamming distance of the graphs, after alignment; its ceiling is 0.
        graph_edit_distance: under the best relabelling, whatever the alignment; None beyond 8 variables; its ceiling is 0.
        target_accuracy: after alignment; its ceiling is 1.
        counterfactual_error: its ceiling is 0.
    """

    dci: DCI
    alignment: Alignment
    ceiling: DCI
    ceiling_alignment: Alignment
    shd: int | None = None
    graph_edit_distance: int | None = None
    target_accuracy: float | None = None
    counterfactual_error: float | None = None

    def __repr__(self) -> str:
        rows = [
            ("DCI disentanglement", self.dci.disentanglement, self.ceiling.disentanglement),
            ("DCI completeness", self.dci.completeness, self.ceiling.completeness),
            ("DCI informativeness", self.dci.informativeness, self.ceiling.informativeness),
            ("Spearman MCC", self.alignment.mcc, self.ceiling_alignment.mcc),
            ("structural Hamming distance", self.shd, 0),
            ("graph edit distance", self.graph_edit_distance, 0),
            ("target accuracy", self.target_accuracy, 1.0),
            ("counterfactual error", self.counterfactual_error, 0.0),
        ]
        lines = [f"{name:<28} {_cell(value):>8}  (truth {_cell(best)})" for name, value, best in rows if value is not None]
        return "\n".join(lines)


def _cell(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.4f}"


def score(
    z_true: Tensor,
    z_found: Tensor,
    *,
    graphs: tuple[DAG, DAG] | None = None,
    targets: tuple[Tensor, Tensor] | None = None,
    counterfactuals: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
) -> Scores:
    """All scores that what is given allows, each with that of the truth beside it.

    Found variables, graph and targets are brought to the true numbers by one alignment, that of `spearman_mcc`.

    Args:
        z_true, z_found: `(N, n)` of the same observations.
        graphs, targets, counterfactuals: (true, found) each, if known; counterfactuals are observations.
        seed: of `dci`.

    Cost: twice that of `dci`.

    Raises: `ShapeError`, `TensorError`, `OptionError`, as the scores do.

    >>> z = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    >>> found = score(z, z.flip(1).exp(), graphs=(DAG.chain(2), DAG.chain(2).relabelled([1, 0])))
    >>> found.shd, round(found.alignment.mcc, 6)
    (0, 1.0)
    """
    alignment = spearman_mcc(z_true, z_found)
    best = _monotone(z_true)
    _require_pairs(graphs=graphs, targets=targets, counterfactuals=counterfactuals)
    return Scores(
        dci=dci(z_true, z_found, seed=seed),
        alignment=alignment,
        ceiling=dci(z_true, best, seed=seed),
        ceiling_alignment=spearman_mcc(z_true, best),
        shd=structural_hamming_distance(graphs[0], alignment.graph(graphs[1])) if graphs else None,
        graph_edit_distance=graph_edit_distance(*graphs) if graphs and graphs[0].n <= LARGEST else None,
        target_accuracy=target_accuracy(*targets, alignment.permutation) if targets else None,
        counterfactual_error=counterfactual_error(*counterfactuals) if counterfactuals else None,
    )


def _monotone(z: Tensor) -> Tensor:
    """Elementwise nonlinear strictly monotone maps, rising and falling in turn: a perfect solution as good as any."""
    unit = (z.detach() - z.mean(0)) / z.std(0)
    falling = torch.arange(z.shape[1], device=z.device) % 2 == 1
    return torch.where(falling, -unit.asinh(), unit + unit**3)


def _require_pairs(**given: object) -> None:
    for name, pair in given.items():
        if pair is not None and not (isinstance(pair, tuple) and len(pair) == 2):
            raise OptionError(f"score({name}=) is a pair (true, found); got {type(pair).__name__}.")
