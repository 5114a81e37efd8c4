"""Where the variance of a study comes from, and whether the comparison it makes is an empty one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from egregium.identifiability.indeterminacy import indeterminacy
from egregium.identifiability.views import mean_space
from egregium.protocols import Model

RATIOS = (("geodesic/chord", "geodesic", "chord"), ("geodesic/straight", "geodesic", "straight_length"))


def compare(a: Model, b: Model, ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> dict[str, list[float]]:
    """Neighbours on the ring of trainings: image mismatch and isometry defect along the geodesics of `a`, pair by pair.

    `ours` and `theirs` are the extras of the two measurements. Returns lists over the P pairs: `defect` (largest along the
    curve), `cv_bound` that the stretches predict for two trainings, `cv_observed`, and `mismatch`, the relative change of
    decoded chords when their ends move to the other image.
    """
    curves = ours["curves"]
    pairs, nodes, d = curves.shape
    found = indeterminacy(a, b, curves.reshape(-1, d))
    stretch = found.stretch.reshape(pairs, nodes, d)
    low, high = stretch.amin((1, 2)).sqrt(), stretch.amax((1, 2)).sqrt()
    bound = torch.maximum(_cv_of_ratio(low), _cv_of_ratio(high))
    observed = _cv_of_ratio(theirs["mean_length"] / ours["mean_length"])
    usable = torch.isfinite(bound) & torch.isfinite(observed) & (found.status.reshape(pairs, nodes) == 0).all(-1)
    keep = usable.nonzero().flatten()
    defect = found.defect.reshape(pairs, nodes).amax(-1)
    values = {"defect": defect, "cv_bound": bound, "cv_observed": observed, "mismatch": _moved_chords(a, b, curves, found.z)}
    return {name: value[keep].double().tolist() for name, value in values.items()}


def _cv_of_ratio(ratio: Tensor) -> Tensor:
    """Coefficient of variation (ddof 1) of two numbers with this ratio: `sqrt(2) |r - 1| / (r + 1)`."""
    return 2**0.5 * (ratio - 1).abs() / (ratio + 1)


def _moved_chords(a: Model, b: Model, curves: Tensor, moved: Tensor) -> Tensor:
    first, second = (_mean_output(model) for model in (a, b))
    ends = curves[:, [0, -1]]
    ours = first(ends.flatten(0, 1)).reshape(len(ends), 2, -1)
    theirs = second(moved.reshape(curves.shape)[:, [0, -1]].flatten(0, 1)).reshape(len(ends), 2, -1)
    chords = [(x[:, 1] - x[:, 0]).norm(dim=-1) for x in (ours, theirs)]
    return _cv_of_ratio(chords[1] / chords[0])


def _mean_output(model: Model) -> Callable[[Tensor], Tensor]:
    space = mean_space(model)

    def output(z: Tensor) -> Tensor:
        with torch.no_grad():
            return space.immerse(space.prepare(z)[0])

    return output


def diagnose(table: pd.DataFrame, extras: Sequence[Mapping[str, Tensor]], ring: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All diagnostics of a study, JSON-like: statuses, ratios, sources of variance, predicted bound."""
    return {
        "status": _statuses(table),
        "ratios": _ratios(table, extras),
        "variance": _sources(table, extras, ring),
        "isometry": _isometry(ring),
    }


def _statuses(table: pd.DataFrame) -> list[dict[str, Any]]:
    found = []
    for (relation, endpoint), rows in table.groupby(["relation", "endpoint"], sort=True):  # type: ignore[misc]
        for status, share in rows["status"].value_counts(normalize=True).sort_index().items():
            found.append({"relation": relation, "endpoint": endpoint, "status": status, "share": float(share)})
    return found


def _ratios(table: pd.DataFrame, extras: Sequence[Mapping[str, Tensor]]) -> list[dict[str, Any]]:
    found = []
    ok = table.loc[table.status == "CONVERGED"]
    for endpoint in sorted(ok.endpoint.unique()):
        wide = _wide(ok.loc[ok.endpoint == endpoint], "relation")
        for name, above, below in RATIOS:
            if above in wide and below in wide:
                found.append({"name": name, "endpoint": endpoint, **_quantiles((wide[above] / wide[below]).to_numpy())})
    second = [(part["second_best"] / part["length"]).double() for part in extras if "second_best" in part]
    if second:
        found.append({"name": "second_best/length", "endpoint": "encoder", **_quantiles(torch.cat(second).numpy())})
    return found


def _wide(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Values by (model, pair), a column for each value of `column`."""
    return rows.pivot_table(index=["model", "pair"], columns=column, values="value")


def _quantiles(values: np.ndarray) -> dict[str, float | int | None]:
    known = values[np.isfinite(values)]
    if not len(known):
        return {"q05": None, "median": None, "q95": None, "share": 0.0}
    q05, median, q95 = (float(q) for q in np.quantile(known, [0.05, 0.5, 0.95]))
    return {"q05": q05, "median": median, "q95": q95, "share": len(known) / len(values)}


def _sources(
    table: pd.DataFrame, extras: Sequence[Mapping[str, Tensor]], ring: Sequence[Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """Each source alone, as the coefficient of variation that it would give to a distance (medians)."""
    sources = []
    ok = table.loc[(table.status == "CONVERGED") & (table.relation == "geodesic")]
    wide = _wide(ok, "endpoint")
    if {"encoder", "projection"} <= set(wide.columns):
        ratio = (wide["projection"] / wide["encoder"]).dropna().to_numpy()
        sources.append(_source(
            "endpoint", 2**0.5 * np.abs(ratio - 1) / (ratio + 1),
            "how much a geodesic changes within a training when its ends are projected instead of encoded",
        ))  # fmt: skip
    sources.append(_source(
        "image_mismatch", np.concatenate([np.asarray(edge["mismatch"]) for edge in ring]) if ring else np.empty(0),
        "how much decoded chords change when their ends move to the nearest points of the next training's surface",
    ))  # fmt: skip
    members = [part["member_chords"].double() for part in extras if part["member_chords"].shape[0] > 1]
    spread = [m.std(0) / m.mean(0) / m.shape[0] ** 0.5 for m in members]
    sources.append(_source(
        "decoder_disagreement", torch.cat(spread).numpy() if spread else np.empty(0),
        "standard error of decoded chords over the decoders of one training",
    ))  # fmt: skip
    excess = (ok.upper / ok.value - 1).to_numpy()
    sources.append(_source("solver", excess, "how far the certified upper bound lies above the reported length"))
    return sources


def _source(name: str, values: np.ndarray, sentence: str) -> dict[str, Any]:
    known = values[np.isfinite(values)]
    return {
        "source": name, "endpoint": "encoder", "cv": float(np.median(known)) if len(known) else None, "sentence": sentence,
    }  # fmt: skip


def _isometry(ring: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    edges = [edge for edge in ring if edge["defect"]]
    if not edges:
        return None
    defect, bound, observed = (np.concatenate([edge[name] for edge in edges]) for name in ("defect", "cv_bound", "cv_observed"))
    within = float(np.mean(observed <= bound))
    return {
        "defect_median": float(np.median(defect)),
        "defect_q95": float(np.quantile(defect, 0.95)),
        "cv_bound_median": float(np.median(bound)),
        "cv_observed_median": float(np.median(observed)),
        "share_within_bound": within,
        "sentence": (
            "For two neighbouring trainings, the stretch of the map between their latent spaces along each geodesic bounds "
            f"the coefficient of variation of its length if the ends correspond; {within:.0%} of the observed ones lie within."
        ),
    }
