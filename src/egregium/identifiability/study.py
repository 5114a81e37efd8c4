"""Studies: the same pairs of test points, measured in many trainings of one model, and what became of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
from torch import Tensor

from egregium.errors import ModelError, OptionError, ShapeError
from egregium.identifiability.battery import Entry, chosen
from egregium.identifiability.diagnostics import compare, diagnose
from egregium.identifiability.dispersion import summarize
from egregium.identifiability.measurement import Measurement, measure
from egregium.identifiability.plan import Triples
from egregium.identifiability.views import base, require_models
from egregium.protocols import Model, Relation
from egregium.runs.files import digest, make_folder, read_table, read_tensors, write_json, write_table, write_tensors
from egregium.runs.provenance import provenance
from egregium.runs.records import record_results
from egregium.spaces.pullback import Pullback

COLUMNS = ["model", "pair", "i", "j", "k", "relation", "endpoint", "n_points", "value", "lower", "upper", "status"]


@dataclass(frozen=True, eq=False, repr=False)
class Study:
    """R trained models x P pairs of points x relations: how much of each relation is left after retraining.

    Args:
        models: one or more models (`LatentModel` or anything with `name, decoders, prior, chart, encode`) of the same data.
            One is a valid study: it measures, and its dispersion is NaN with the reason.
        points: test observations `(N, *shape)`, never used in training.
        pairs: how many pairs to draw.
        relations: names of built-in relations, or objects of your own with `name, arity, scale, invariant_under` and a
            call `(space, *points) -> (value, lower, upper, status)`; default: all built-in ones.
        seed: of the draw of pairs.

    Raises: `OptionError`, `ShapeError`.
    """

    models: Sequence[Model]
    points: Tensor
    pairs: int = 100
    relations: Sequence[str | Relation] | None = None
    seed: int = 0
    triples: Triples = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not isinstance(self.points, Tensor) or self.points.ndim < 2:
            raise ShapeError("a study needs its points as one tensor (N, *shape).")
        if not self.models:
            raise OptionError("a study needs at least one model; got none.")
        require_models(*self.models)
        self._entries()
        object.__setattr__(self, "triples", Triples.draw(len(self.points), self.pairs, self.seed))

    def __repr__(self) -> str:
        names = ", ".join(model.name for model in self.models[:3]) + (", ..." if len(self.models) > 3 else "")
        return (
            f"Study({len(self.models)} models ({names}), {self.pairs} pairs of {len(self.points)} points of shape "
            f"{tuple(self.points.shape[1:])}, {len(self.scales)} relations, seed {self.seed})"
        )

    def run(self, out: str | Path | None = None, engine: str = "local", progress: bool = False) -> pd.DataFrame:
        """Measure every model; a row per model, pair, relation and endpoint, sorted.

        With `out`, each model's rows are kept as they come and read back when the same study is run again; the folder ends
        with `table.parquet`, `summary.parquet`, `diagnostics.json` and `run.json`, as `egregium report` reads them.

        Raises: `OptionError` for an engine other than "local" (this process); what the models' decoders raise.
        """
        if engine != "local":
            raise OptionError(f'engine must be "local": models in memory are measured in this process; got {engine!r}.')
        self._check_outputs()
        measured = []
        for place, model in enumerate(self.models):
            measured.append(self._measured(model, place, None if out is None else Path(out)))
            if progress:
                print(f"study: {place + 1} of {len(self.models)} models", flush=True)
        table = gathered([one.rows for one in measured], self.scales)
        if out is not None:
            self._write(Path(out), table, measured)
        return table

    @property
    def scales(self) -> dict[str, str]:
        """Scale type of every relation."""
        return {name: entry.scale for name, entry in self._entries().items()}

    def _entries(self) -> dict[str, Entry]:
        return chosen(self.relations)

    def _check_outputs(self) -> None:
        """Every decoder must give as many numbers as an observation has, or nothing could be compared."""
        observed = self.points.shape[1:]
        for place, model in enumerate(self.models):
            z = model.encode(self.points[:1])
            for decode in model.decoders:
                decoded = Pullback(decode, base=base(model)).decode(z).shape[1:]
                if decoded.numel() != observed.numel():
                    raise ShapeError(
                        f"model {place} ({model.name!r}) decodes to shape {tuple(decoded)}, but the observations of this study "
                        f"have shape {tuple(observed)}: all models of a study must decode to the same data."
                    )

    def _measured(self, model: Model, place: int, out: Path | None) -> Measurement:
        name = f"{place:03d} {model.name}"
        reference = self.models[0].encode(self.points)
        if out is None:
            return measure(model, name, self.points, self.triples, self._entries(), reference)
        identity = getattr(model, "identity", None)
        if identity is None:
            raise ModelError(
                f"{type(model).__name__} has no identity(), so that its results cannot be kept: use eg.LatentModel."
            )
        model.encode(self.points[:1])  # settles the dimension that identity() decodes probes in
        key = digest([name, identity(), list(self._entries()), self.triples.index.tolist(), tensor_digest(self.points)])[:32]
        place_of = out / "parts" / key
        if not (place_of / "extras.safetensors").exists():
            make_folder(place_of)
            keep(measure(model, name, self.points, self.triples, self._entries(), reference), place_of)
        return kept(place_of)

    def _write(self, out: Path, table: pd.DataFrame, measured: list[Measurement]) -> None:
        extras = [one.extras for one in measured]
        ring = [
            compare(self.models[a], self.models[(a + 1) % len(self.models)], extras[a], extras[(a + 1) % len(self.models)])
            for a in range(len(self.models) if len(self.models) > 1 and "curves" in extras[0] else 0)
        ]
        write_results(out, table, diagnose(table, extras, ring))
        decoders = sorted({len(model.decoders) for model in self.models})
        config = {"kind": "study of models in memory", "models": len(self.models), "pairs": self.pairs, "seed": self.seed,
                  "decoders": decoders[0] if len(decoders) == 1 else decoders}  # fmt: skip
        write_json(out / "run.json", {"schema": 1, "config": config, "provenance": provenance(), "history": []})
        record_results(out)


def gathered(parts: Sequence[pd.DataFrame], scales: dict[str, str]) -> pd.DataFrame:
    """The study's table from the rows of its models: sorted, with scale types in `attrs`."""
    table = pd.concat(parts, ignore_index=True).loc[:, COLUMNS]
    table = table.sort_values(by=["model", "relation", "endpoint", "pair"], ignore_index=True)
    table.attrs["scales"] = dict(scales)
    return table


def write_results(out: Path, table: pd.DataFrame, diagnostics: dict) -> None:
    """Write `table.parquet`, `summary.parquet` and `diagnostics.json`."""
    write_table(out / "table.parquet", table)
    write_table(out / "summary.parquet", summarize(table))
    write_json(out / "diagnostics.json", diagnostics)


def keep(measurement: Measurement, folder: Path) -> None:
    """Write a measurement into a folder."""
    write_table(folder / "rows.parquet", measurement.rows)
    write_tensors(folder / "extras.safetensors", {name: value.contiguous() for name, value in measurement.extras.items()})


def kept(folder: Path) -> Measurement:
    """Read back what `keep` wrote."""
    return Measurement(read_table(folder / "rows.parquet"), read_tensors(folder / "extras.safetensors")[0])


def tensor_digest(x: Tensor) -> str:
    """A content hash of a tensor."""
    return hashlib.sha256(x.detach().cpu().contiguous().numpy().tobytes()).hexdigest()
