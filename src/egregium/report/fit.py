"""How well each training fits its data, from what the run folder holds: held-out losses, and distances left by projection."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from egregium.identifiability.study import kept
from egregium.models.checkpoint import FILE_NAME, load
from egregium.runs.records import DONE, read_done

FAR = 5.0  # standard deviations, estimated from the median deviation
SAME = 0.02  # share of the median within which nothing stands out, however close the others are


@dataclass(frozen=True)
class Fit:
    """One training: `loss` on held-out data (nats per observation) at the epoch `kept` of `epochs`, and `distance`, the median
    over test points of what remains between a point and the nearest point of the decoded surface; NaN where not recorded.
    """

    training: str
    loss: float
    kept: float
    epochs: float
    distance: float


def read_fits(folder: Path, trainings: Sequence[object]) -> list[Fit]:
    """The fits of `trainings`, sorted; none where a training was measured by more than one version of a forced run.

    Raises: `StorageError`, `ModelError` where a file is damaged.
    """
    found: dict[str, Fit] = {}
    for extras in sorted(folder.glob("*/*/extras.safetensors")):
        measured = kept(extras.parent)
        name = str(measured.rows["model"].iloc[0])
        if name in found:
            return []
        residual = measured.extras.get("residual")
        distance = float(residual.median()) if residual is not None else math.nan
        found[name] = Fit(name, *_history(folder, extras.parent), distance)
    return [found[str(name)] for name in trainings if str(name) in found]


def stand_out(values: Sequence[float]) -> list[int]:
    """Places of the values that lie far from the others: over five standard deviations from the median, and over 2 % of it.

    >>> stand_out([10.0, 10.3, 9.9, 14.0, 10.1]), stand_out([10.0, 10.0, 10.1]), stand_out([1.0, 9.0])
    ([3], [], [])
    """
    known = np.array(values, dtype=float)
    if np.isfinite(known).sum() < 3:
        return []
    middle = np.nanmedian(known)
    deviation = np.abs(known - middle)
    return np.flatnonzero(deviation > max(FAR * 1.4826 * np.nanmedian(deviation), SAME * abs(middle))).tolist()


def measures(fits: Sequence[Fit]) -> dict[str, list[float]]:
    """What is recorded of all trainings, in words, with a value for each; measures that are nowhere recorded are left out."""
    ways: dict[str, Callable[[Fit], float]] = {
        "Held-out loss of the epoch kept (nats per observation)": lambda fit: fit.loss,
        "Distance of a test point from the decoded surface (median)": lambda fit: fit.distance,
    }
    found = {label: [value(fit) for fit in fits] for label, value in ways.items()}
    return {label: values for label, values in found.items() if np.isfinite(values).any()}


def cautions(fits: Sequence[Fit]) -> list[str]:
    """Sentences about trainings whose fit stands out, and about trainings that seem to have ended too early."""
    said = []
    for label, values in measures(fits).items():
        for place in stand_out(values):
            said.append(
                f"Training {fits[place].training} stands out. {label}: {values[place]:.4g}, where the median of all trainings "
                f"is {np.nanmedian(values):.4g}. See whether it failed before you believe what depends on it."
            )
    late = sum(fit.kept == fit.epochs for fit in fits)
    if late > len(fits) / 2:
        said.append(
            f"In {late} of {len(fits)} trainings the last epoch was the best: they may not have learned all they could. "
            "More epochs would tell."
        )
    return said


def _history(folder: Path, measured: Path) -> tuple[float, float, float]:
    """Held-out loss, its epoch and the number of epochs of the training that a measurement was made on, if it is recorded."""
    needs = read_done(measured)["needs"] if (measured / DONE).is_file() else []
    checkpoint = folder / "tasks" / needs[0] / FILE_NAME if needs else None
    if checkpoint is None or not checkpoint.is_file():
        return math.nan, math.nan, math.nan
    history = load(checkpoint).history
    losses, best = history["held_out"], int(history["best_epoch"][0])
    return losses[best - 1], float(best), float(len(losses))
