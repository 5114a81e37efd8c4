"""Studies on models in memory: exact twins agree, results can be kept and read back, bad input is refused."""

import re

import pandas as pd
import pytest
import torch
from torch import Tensor

from egregium.errors import ModelError, OptionError, ShapeError
from egregium.identifiability.assumptions import check
from egregium.identifiability.dispersion import summarize
from egregium.identifiability.indeterminacy import indeterminacy
from egregium.identifiability.plan import Triples
from egregium.identifiability.study import COLUMNS, Study
from egregium.models.latent_model import LatentModel
from egregium.protocols import Measured, Scale
from egregium.relations.distance import Chord
from egregium.runs.verify import verify
from egregium.spaces.charts import Gaussian

POINTS = torch.randn(60, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
POINTS[:, 2] = 0.5 * (POINTS[:, :2] ** 2).sum(-1)


def paraboloid(z: Tensor) -> Tensor:
    return torch.cat([z, 0.5 * (z**2).sum(-1, keepdim=True)], -1)


def bent(z: Tensor) -> Tensor:
    """A nonlinear map of the plane with the closed inverse `unbent`."""
    return torch.stack([z[:, 0], 1.5 * z[:, 1] + 0.4 * torch.sin(2 * z[:, 0])], -1)


def unbent(y: Tensor) -> Tensor:
    return torch.stack([y[:, 0], (y[:, 1] - 0.4 * torch.sin(2 * y[:, 0])) / 1.5], -1)


def model() -> LatentModel:
    return LatentModel(lambda x: x[:, :2], paraboloid, name="plain", chart=Gaussian(0.5))


def twin() -> LatentModel:
    return LatentModel(lambda x: bent(x[:, :2]), lambda y: paraboloid(unbent(y)), name="twin", chart=Gaussian(0.5))


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return Study([model(), twin()], POINTS, pairs=15).run()


def test_table_is_complete_and_sorted(table: pd.DataFrame) -> None:
    assert list(table.columns) == COLUMNS
    assert len(table) == 2 * 15 * 2 * 13
    assert table.equals(table.sort_values(by=["model", "relation", "endpoint", "pair"], ignore_index=True))
    assert table.attrs["scales"]["density"] == "interval"


def test_twins_agree_on_what_is_identifiable(table: pd.DataFrame) -> None:
    summary = summarize(table).set_index(["relation", "endpoint"])
    for relation in ("geodesic", "geodesic_mean", "geodesic_one", "chord"):
        assert summary.loc[(relation, "encoder"), "cv_mean"] < 1e-2  # the study's rtol is 5e-3
    assert summary.loc[("euclidean", "encoder"), "cv_mean"] > 0.1


def test_identifiable_numbers_of_twins_are_equal(table: pd.DataFrame) -> None:
    rows = table[(table.relation == "geodesic") & (table.endpoint == "encoder")]
    first, second = (group.value.to_numpy() for _, group in rows.groupby("model"))
    assert abs(second / first - 1).max() < 1e-2


def test_bounds_enclose_values(table: pd.DataFrame) -> None:
    assert (table.lower <= table.value).all() and (table.value <= table.upper).all()


def test_one_training_is_a_valid_study() -> None:
    table = Study([model()], POINTS, pairs=5, relations=["geodesic", "chord"]).run()
    summary = summarize(table)
    assert summary.cv_mean.isna().all() and (summary.reason != "").all()


def test_kept_results_are_read_back(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study([model(), twin()], POINTS, pairs=4, relations=["geodesic_mean", "chord"])
    first = study.run(tmp_path)
    monkeypatch.setattr("egregium.identifiability.study.measure", lambda *_: pytest.fail("measured again"))
    pd.testing.assert_frame_equal(first, study.run(tmp_path))
    assert {"table.parquet", "summary.parquet", "diagnostics.json", "run.json"} <= {path.name for path in tmp_path.iterdir()}
    assert verify(tmp_path) == []
    (tmp_path / "summary.parquet").write_bytes(b"")
    assert "summary.parquet" in verify(tmp_path)[0]


def test_a_relation_of_ones_own() -> None:
    class Twice:
        name, arity, invariant_under = "twice_the_chord", 2, "isometries"
        scale: Scale = "ratio"

        def __call__(self, space, *points: Tensor) -> Measured:
            value = 2 * Chord()(space, *points).value
            return Measured(value, value, value, torch.zeros(value.shape, dtype=torch.int8))

    table = Study([model()], POINTS, pairs=3, relations=["chord", Twice()]).run()
    wide = table[table.endpoint == "encoder"].pivot(index="pair", columns="relation", values="value")
    assert wide["twice_the_chord"].tolist() == (2 * wide["chord"]).tolist()


@pytest.mark.parametrize(
    ("error", "arguments"),
    [
        (OptionError, ([], POINTS)),
        (ShapeError, ([model()], POINTS[0])),
        (ModelError, ([torch.nn.Linear(2, 3)], POINTS)),
        (OptionError, ([model()], POINTS[:2])),
        (OptionError, ([model()], POINTS[:4], 7)),
        (OptionError, ([model()], POINTS, 10, "geodesic")),
    ],
)
def test_bad_studies_are_refused(error: type[Exception], arguments: tuple) -> None:
    with pytest.raises(error):
        Study(*arguments)


def test_models_of_other_data_are_refused_by_name() -> None:
    other = LatentModel(lambda x: x[:, :2], lambda z: paraboloid(z).repeat(1, 2), name="wide")
    with pytest.raises(ShapeError, match=r"model 1 \('wide'\) decodes to shape \(6,\).* observations .* shape \(3,\)"):
        Study([model(), other], POINTS, pairs=3).run()


def test_studies_and_indeterminacies_are_printed_in_a_line() -> None:
    said = repr(Study([model(), twin()], POINTS, pairs=15))
    assert said == "Study(2 models (plain, twin), 15 pairs of 60 points of shape (3,), 13 relations, seed 0)"
    found = repr(indeterminacy(model(), twin(), POINTS[:20, :2]))
    assert found.startswith("Indeterminacy(20 points, d = 2, stretch 1") and found.endswith(": 20 CONVERGED)")


def test_unknown_relations_and_engines_are_refused() -> None:
    with pytest.raises(OptionError, match="geodesick"):
        Study([model()], POINTS, relations=["geodesick"])
    with pytest.raises(OptionError, match="engine"):
        Study([model()], POINTS).run(engine="dask")


def test_draws_are_distinct_points_and_repeatable() -> None:
    first, second = (Triples.draw(30, 50, seed=3).index for _ in range(2))
    assert torch.equal(first, second)
    assert all(len(set(row)) == 3 for row in first.tolist())


def test_indeterminacy_of_twins_is_the_isometry() -> None:
    z = POINTS[:20, :2]
    found = indeterminacy(model(), twin(), z)
    torch.testing.assert_close(found.z, bent(z), atol=1e-7, rtol=0)
    assert found.defect.max() < 1e-6 and found.mismatch.max() < 1e-7
    expected = torch.stack([torch.autograd.functional.jacobian(lambda y: bent(y[None])[0], one) for one in z])
    torch.testing.assert_close(found.jacobian, expected, atol=1e-5, rtol=0)


def test_indeterminacy_sees_a_stretch() -> None:
    stretched = LatentModel(lambda x: x[:, :2], lambda z: 1.1 * paraboloid(z), chart=Gaussian(0.5))
    flat = LatentModel(lambda x: x[:, :2], lambda z: torch.cat([z, 0 * z[:, :1]], -1), chart=Gaussian(0.5))
    assert indeterminacy(model(), stretched, POINTS[:5, :2]).mismatch.max() > 1e-3
    assert indeterminacy(model(), flat, POINTS[:5, :2]).defect.max() > 0.05


def test_check_finds_what_is_wrong() -> None:
    assert check(model(), POINTS).ok
    relu = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3)).double().requires_grad_(False)
    assert check(LatentModel(lambda x: x[:, :2], relu), POINTS)["smooth"].holds is False
    folded = LatentModel(lambda x: x[:, :2], lambda z: torch.stack([z[:, 0], 1e-6 * z[:, 1], z[:, 0]], -1))
    assert check(folded, POINTS)["rank"].holds is False
    assert "FAILS" in str(check(folded, POINTS)) and repr(check(folded, POINTS)) == str(check(folded, POINTS))
    assert not re.search(r"\bA[1-4]\b|Jacobian", str(check(model(), POINTS)))
