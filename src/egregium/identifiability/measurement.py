"""Measuring one model: endpoints, all relations, and the numbers that later tell where variance comes from."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pandas as pd
import torch
from torch import Tensor

from egregium.geodesics.projection import project
from egregium.identifiability.battery import Entry, Scene
from egregium.identifiability.plan import Triples
from egregium.identifiability.views import observed_space
from egregium.protocols import Measured, Model
from egregium.status import names

ENDPOINTS = ("encoder", "projection")
CURVE_NODES = 9


@dataclass(frozen=True)
class Measurement:
    """Rows of the study's table for one model, and tensors for its diagnostics.

    `extras`: `second_best, length, straight` `(P,)` of the expected metric at encoder endpoints, `member_chords` `(S, P)`,
    `residual` `(U,)` of the projection of the used test points, `curves` `(P, 9, d)` and `mean_length` `(P,)` of the mean
    decoder's geodesics.
    """

    rows: pd.DataFrame
    extras: dict[str, Tensor]


def measure(
    model: Model,
    name: str,
    x: Tensor,
    triples: Triples,
    entries: Mapping[str, Entry],
    reference: Tensor | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Measurement:
    """Measure all `entries` on `model` at test points `x` `(N, *shape)`; `reference` `(N, k)`: the first's latents."""
    latent = model.encode(x)
    reference = latent if reference is None else reference
    used = triples.used
    frames, extras = [], {}
    total = len(ENDPOINTS) * len(entries)
    for place, endpoint in enumerate(ENDPOINTS):
        z = latent[used] if endpoint == "encoder" else _projected(model, x[used], latent[used], extras)
        scene = Scene(model, *triples.points(z), latent, reference)
        for done, (relation, entry) in enumerate(entries.items(), start=1):
            frames.append(_rows(name, relation, endpoint, triples, entry, entry.measure(scene)))
            report(place * len(entries) + done, total)
        if endpoint == "encoder":
            extras |= _extras(scene, entries)
    return Measurement(pd.concat(frames, ignore_index=True), extras)


def _projected(model: Model, x: Tensor, start: Tensor, extras: dict[str, Tensor]) -> Tensor:
    """Latent points whose mean decoded observation is nearest to x; the encoder's own where that did not converge."""
    found = project(observed_space(model), x.flatten(1), start)
    extras["residual"] = found.residual
    return torch.where(found.ok[:, None], found.z, start)


def _extras(scene: Scene, entries: Mapping[str, Entry]) -> dict[str, Tensor]:
    extras = {"straight": entries["straight_length"].measure(scene).value} if "straight_length" in entries else {}
    if "geodesic" in entries:
        extras |= {"second_best": scene.geodesic.second_best, "length": scene.geodesic.length}
    if "geodesic_mean" in entries:
        g = scene.geodesic_mean
        t = torch.linspace(0, 1, CURVE_NODES, dtype=g.length.dtype, device=g.length.device)
        extras |= {"curves": g(t), "mean_length": torch.where(g.ok, g.length, torch.nan)}
    with torch.no_grad():
        ends = [torch.stack([one(z) for one in scene.expected.members]) for z in (scene.first, scene.second)]
        return extras | {"member_chords": (ends[1] - ends[0]).norm(dim=-1)}


def _rows(model: str, relation: str, endpoint: str, triples: Triples, entry: Entry, measured: Measured) -> pd.DataFrame:
    index = triples.index
    draws = relation.rpartition("_")[2]
    return pd.DataFrame({
        "model": model,
        "pair": range(len(triples)),
        "i": index[:, 0].numpy(),
        "j": index[:, 1].numpy() if entry.arity > 1 else -1,
        "k": index[:, 2].numpy() if entry.arity > 2 else -1,
        "relation": relation,
        "endpoint": endpoint,
        "n_points": int(draws) if draws.isdigit() else 0,
        "value": measured.value.double().cpu().numpy(),
        "lower": measured.lower.double().cpu().numpy(),
        "upper": measured.upper.double().cpu().numpy(),
        "status": names(measured.status.cpu()),
    })  # fmt: skip
