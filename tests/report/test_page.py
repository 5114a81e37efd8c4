"""The page stands alone, says what is missing, and is the same for the same results."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from egregium.errors import RunError, StorageError
from egregium.identifiability.measurement import Measurement
from egregium.identifiability.study import Study, keep
from egregium.models import VAE, LatentModel
from egregium.models.checkpoint import FILE_NAME, save
from egregium.report import write_report
from egregium.report.fit import cautions, read_fits
from egregium.report.markup import tag
from egregium.report.results import Results
from egregium.runs.files import make_folder, read_json, read_table, write_json, write_table
from egregium.runs.records import record_results

DONE = {"schema": 1, "address": "", "label": "", "call": "", "arguments": {}, "needs": [], "code": "", "files": {}}
VOID = {"meta", "link", "br", "img"}


class Outline(HTMLParser):
    """Collects text, identifiers and links, and fails where tags do not nest."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text, self.ids, self.links = "", [], []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [found["id"]] if found.get("id") else []
        self.links += [value for key, value in attrs if key in ("href", "src", "xlink:href") and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data if self.open and self.open[-1] != "style" else ""


def outline(folder: Path) -> Outline:
    return Outline(write_report(folder).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def full(study: Path) -> Outline:
    return outline(study)


@pytest.fixture
def words_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spares the time of writing pictures where a test reads only the words around them."""
    monkeypatch.setattr("egregium.report.page.svg", lambda drawing, name: b'<svg viewBox="0 0 1 1"></svg>')
    monkeypatch.setattr("egregium.report.page.png", lambda drawing: b"")


def test_outline_can_fail() -> None:
    with pytest.raises(AssertionError):
        Outline("<p><b></p></b>")


def test_page_needs_nothing_from_anywhere(full: Outline) -> None:
    outside = [link for link in full.links if not link.startswith(("#", "data:", "figures/", "https://arxiv.org/abs/"))]
    assert not outside


def test_page_is_well_formed_with_distinct_identifiers_that_resolve(full: Outline) -> None:
    assert len(full.ids) == len(set(full.ids))
    assert {link[1:] for link in full.links if link.startswith("#")} <= set(full.ids)


def test_every_figure_is_there_in_both_formats(study: Path, full: Outline) -> None:
    for name in ("score_rank", "cv", "agreement", "latents", "geodesic"):
        assert f"figure-{name}" in full.ids
        assert (study / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert (study / "figures" / f"{name}.svg").read_bytes().startswith(b"<?xml")


def test_every_relation_stands_with_score_and_interval(study: Path, full: Outline) -> None:
    results = Results.read(study)
    for endpoint in results.endpoints:
        for relation in results.relations(endpoint):
            score = results.estimate(relation, endpoint, "score")
            assert relation in full.text
            assert f"[{score.low:.2f}, {score.high:.2f}]" in full.text or f"[{score.low:.3f}, {score.high:.3f}]" in full.text


@pytest.mark.parametrize(
    "sentence",
    [
        "A low CV alone proves nothing",
        "it is more constant, not more informative",
        "How much of this would change if you retrained?",
        "Over pairs, which share trainings: not independent",
        "loses to the decoded chord",
        "arXiv 2502.13757",
        "arXiv 2408.07507",
        "MAX_STEPS",
        "geodesic/straight",
        "image mismatch",
        "Largest CV that it allows",
        "SHA-256",
        "2.13.0",
    ],
)
def test_page_says(full: Outline, sentence: str) -> None:
    assert sentence in full.text


def test_page_names_no_folder_of_the_machine(study: Path, full: Outline) -> None:
    assert "/home/someone" not in full.text and str(study) not in full.text


def test_same_results_give_the_same_bytes(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n_models=1, n_pairs=12, endpoints=("encoder",))
    first = write_report(folder).read_bytes()
    assert write_report(folder).read_bytes() == first


def test_one_training_is_a_valid_study(make_run: Callable[..., Path], tmp_path: Path) -> None:
    page = outline(make_run(tmp_path / "run", n_models=1, n_pairs=20))
    assert "This study holds one training" in page.text and "Median over pairs" in page.text
    assert "nan" not in re.findall(r"[a-z]+", page.text.lower())
    assert sorted(path.stem for path in (tmp_path / "run" / "figures").glob("*.png")) == ["geodesic", "latents"]


@pytest.mark.usefixtures("words_only")
def test_two_trainings_have_statistics_without_intervals(make_run: Callable[..., Path], tmp_path: Path) -> None:
    page = outline(make_run(tmp_path / "run", n_models=2, n_pairs=20, endpoints=("encoder",)))
    assert "no interval" in page.text and "too few trainings for intervals" in page.text and "beats" not in page.text


@pytest.mark.usefixtures("words_only")
def test_many_dimensions_are_projected_and_the_map_is_left_out(make_run: Callable[..., Path], tmp_path: Path) -> None:
    page = outline(make_run(tmp_path / "run", n_models=3, n_pairs=12, d=8, endpoints=("projection",)))
    assert "first two principal axes" in page.text
    assert "left out: the latent space has 8 dimensions" in page.text


@pytest.mark.usefixtures("words_only")
def test_missing_optional_files_are_named(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n_models=3, n_pairs=12, endpoints=("encoder",))
    write_report(folder)
    (folder / "figures.safetensors").unlink()
    (folder / "diagnostics.json").unlink()
    page = outline(folder)
    assert "the study kept no latent points" in page.text and "diagnostics.json holds no ratios" in page.text
    assert not (folder / "figures" / "latents.png").exists(), "a picture of an earlier report must not stay"


@pytest.mark.usefixtures("words_only")
def test_failed_rows_and_unknown_relations_are_carried(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n_models=3, n_pairs=12, endpoints=("encoder",))
    table, summary = read_table(folder / "table.parquet"), read_table(folder / "summary.parquet")
    table.loc[table["relation"] == "geodesic", ["status", "value"]] = ["STALLED", np.nan]
    numbers = [column for column in summary.columns if column.startswith(("cv", "s", "k", "icc")) and column != "scale"]
    summary.loc[summary["relation"] == "geodesic", numbers] = np.nan
    table["relation"] = table["relation"].replace("chord", "my_own<b>")
    table.attrs["scales"]["my_own<b>"] = "ratio"
    summary["relation"] = summary["relation"].replace("chord", "my_own<b>")
    write_table(folder / "table.parquet", table)
    write_table(folder / "summary.parquet", summary)
    page = outline(folder)
    assert "my_own<b>" in page.text and "A relation of your own." in page.text
    assert "not decided, dispersion is not defined" in page.text


@pytest.mark.usefixtures("words_only")
def test_forced_runs_say_so(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n_models=1, n_pairs=5, endpoints=("encoder",))
    write_json(folder / "run.json", read_json(folder / "run.json") | {"history": [{"config": {}}]})
    assert "This run was continued with --force" in outline(folder).text


def test_no_folder_and_no_study_are_errors(make_run: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no run folder"):
        write_report(tmp_path / "nowhere")
    with pytest.raises(RunError, match=r"no finished study \(run.json, table.parquet, summary.parquet missing\)"):
        write_report(tmp_path)


def test_damaged_table_is_an_error(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n_models=1, n_pairs=5, endpoints=("encoder",))
    data = (folder / "table.parquet").read_bytes()
    (folder / "table.parquet").write_bytes(data[: len(data) // 2])
    with pytest.raises(StorageError, match="damaged"):
        write_report(folder)


def test_results_that_were_altered_are_not_reported(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n_models=1, n_pairs=5, endpoints=("encoder",))
    record_results(folder)
    write_table(folder / "table.parquet", read_table(folder / "table.parquet").iloc[1:])
    with pytest.raises(RunError, match=r"not as the study left it: result table.parquet has been changed"):
        write_report(folder)


def test_page_that_cannot_be_written_is_an_error(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n_models=1, n_pairs=5, endpoints=("encoder",))
    shutil.rmtree(folder / "figures", ignore_errors=True)
    (folder / "figures").write_text("in the way")
    with pytest.raises(StorageError, match="in the way"):
        write_report(folder)


def test_attributes_are_escaped() -> None:
    assert tag("a", "x", href='"><script>') == '<a href="&quot;&gt;&lt;script&gt;">x</a>'


@pytest.mark.usefixtures("words_only")
def test_variants_that_one_decoder_makes_equal_are_named(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n_models=3, n_pairs=12, endpoints=("encoder",))
    assert "by construction" not in outline(folder).text
    table = read_table(folder / "table.parquet")
    rows = {name: (table["relation"] == name).to_numpy() for name in ("geodesic", "geodesic_mean", "geodesic_one")}
    for name in ("geodesic_mean", "geodesic_one"):
        table.loc[rows[name], "value"] = table.loc[rows["geodesic"], "value"].to_numpy()
    write_table(folder / "table.parquet", table)
    said = outline(folder).text
    assert "geodesic distance of the mean decoder and geodesic distance of one decoder are one number by construction" in said


@pytest.mark.usefixtures("words_only")
def test_settings_are_in_words_and_what_is_missing_has_its_reason(make_run: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_run(tmp_path / "run", n_models=1, n_pairs=5, endpoints=("encoder",))
    page = outline(folder)
    assert "Widths of the hidden layers" in page.text and "split_batches" not in page.text and "table.parquet" in page.text
    assert "Not measured here: it needs two trainings" in page.text and "of the model below" in page.text


@pytest.mark.usefixtures("words_only")
def test_models_of_ones_own_are_not_looked_for_on_the_page(tmp_path: Path) -> None:
    linear = torch.nn.Linear(2, 5).requires_grad_(False)
    own = LatentModel(lambda x: x[:, :2], linear, name="mine")
    points = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    Study([own], points, pairs=4, relations=["chord"]).run(tmp_path)
    said = outline(tmp_path).text
    assert "1 model of your own, as given to the study: 000 mine." in said and "model below" not in said
    assert "Distance of a test point from the decoded surface" in said and "Held-out loss" not in said


def test_fit_of_trainings_is_read_and_what_stands_out_is_named(tmp_path: Path) -> None:
    """Five trainings of which one has a much larger loss, as a study leaves them."""
    spec = VAE(latent=1, hidden=(2,), decoders=1, epochs=3)
    for place, loss in enumerate((10.0, 10.2, 9.9, 30.0, 10.1)):
        trained, measured = (make_folder(tmp_path / "tasks" / f"{kind}{place}") for kind in "tm")
        save(
            trained / FILE_NAME,
            spec.build((3,), place),
            spec,
            (3,),
            place,
            {"held_out": [50.0, loss, loss], "best_epoch": [2.0]},
        )
        keep(Measurement(pd.DataFrame({"model": [f"{place:03d}"]}), {"residual": torch.ones(4)}), measured)
        write_json(measured / "done.json", DONE | {"needs": [f"t{place}"]})
    fits = read_fits(tmp_path, [f"{place:03d}" for place in range(5)])
    assert [(one.loss, one.kept, one.epochs, one.distance) for one in fits[3:]] == [(30.0, 2, 3, 1.0), (10.1, 2, 3, 1.0)]
    (said,) = cautions(fits)
    assert "Training 003 stands out" in said and "30" in said
    assert "last epoch was the best" in cautions([replace(one, kept=one.epochs) for one in fits])[-1]
    assert read_fits(tmp_path / "nowhere", ["000"]) == [] and cautions([]) == []


@pytest.mark.usefixtures("words_only")
def test_few_trainings_and_pairs_are_named_in_the_verdict(make_run: Callable[..., Path], tmp_path: Path) -> None:
    page = outline(make_run(tmp_path / "run", n_models=3, n_pairs=8, endpoints=("encoder",)))
    assert "Only 3 trainings" in page.text and "Only 8 pairs" in page.text
