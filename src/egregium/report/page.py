"""One HTML page for a study: it needs no network, no script and no other file."""

from importlib.resources import files as package_files
from pathlib import Path

from egregium.errors import RunError
from egregium.report import details, verdict
from egregium.report.markup import Markup, join, paragraphs, section, tag
from egregium.report.plates import Plate, plates
from egregium.report.results import Results
from egregium.report.style import inline_svg, png, svg
from egregium.report.words import NOTHING
from egregium.runs.files import make_folder, write_bytes
from egregium.runs.verify import changed_results

CONTENTS = {
    "verdict": "Verdict",
    "relations": "Relations",
    "figures": "Figures",
    "measured": "What was measured",
    "outcomes": "Status",
    "ratios": "Ratios",
    "variance": "Variance",
    "bound": "Predicted bound",
    "tests": "Tests over pairs",
    "provenance": "Provenance",
    "references": "References",
}


def write_report(run_folder: Path) -> Path:
    """Write `report.html` and `figures/*.png`, `figures/*.svg` into a finished run folder; returns the page.

    The same results give the same bytes. Parts of a study that are absent are named on the page with the reason.

    Raises:
        RunError: the folder does not exist, holds no finished study, or its results are not as the study left them.
        StorageError: a file of the study is damaged, or the page cannot be written.
    """
    if changed := changed_results(Path(run_folder)):
        raise RunError(
            f"{run_folder} is not as the study left it: {'; '.join(changed)}. "
            "Restore it, or give the same `egregium study` command again, which writes the results anew."
        )
    results = Results.read(Path(run_folder))
    pictures = make_folder(results.folder / "figures")
    drawn = [_write_plate(pictures, plate) for plate in plates(results)]
    page = results.folder / "report.html"
    write_bytes(page, render(results, drawn).encode())
    return page


def render(results: Results, figures: list[Markup]) -> str:
    """The whole page; `figures` are the finished `figure` elements in order."""
    parts = [
        verdict.verdict(results),
        verdict.relations(results),
        section("figures", "Figures", *figures),
        details.measured(results),
        details.outcomes(results),
        details.ratios(results),
        details.variance(results),
        details.bound(results),
        verdict.pair_tests(results),
        details.provenance(results),
        details.references(),
    ]
    css = Markup(package_files("egregium.report").joinpath("page.css").read_text(encoding="utf-8"))
    title = f"{verdict.heading(results)} · egregium"
    head = tag(
        "head",
        Markup('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        Markup('<link rel="icon" href="data:,">'),
        tag("title", title),
        tag("style", css),
    )
    body = tag("body", tag("header", verdict.opening(results), _contents()), tag("main", join(parts)), _footer())
    return f"<!doctype html>\n{tag('html', head, body, lang='en')}\n"


def _contents() -> Markup:
    return tag("nav", *(tag("a", title, href=f"#{key}") for key, title in CONTENTS.items()), aria_label="Contents")


def _write_plate(folder: Path, plate: Plate) -> Markup:
    """Store a figure in both formats and return it as an element of the page; a figure left out gives its sentence."""
    if plate.drawing is None:
        for kind in ("png", "svg"):  # a picture from an earlier report of this folder would contradict the page
            (folder / f"{plate.name}.{kind}").unlink(missing_ok=True)
        return tag("div", tag("h3", plate.title), tag("p", plate.caption, class_="note"), id=f"figure-{plate.name}")
    drawing = svg(plate.drawing, plate.name)
    write_bytes(folder / f"{plate.name}.svg", drawing)
    write_bytes(folder / f"{plate.name}.png", png(plate.drawing))
    links = [tag("a", kind.upper(), href=f"figures/{plate.name}.{kind}") for kind in ("png", "svg")]
    caption = tag("figcaption", plate.caption, " ", tag("span", links[0], " · ", links[1], class_="files"))
    picture = Markup(inline_svg(drawing, plate.name, plate.title))
    return tag("figure", tag("h3", plate.title), picture, caption, id=f"figure-{plate.name}")


def _footer() -> Markup:
    words = (
        f"Intervals are 95 %, from resampling trainings, unless a line says otherwise. {NOTHING}: not defined or not measured."
    )
    return tag("footer", paragraphs(words, "Written by egregium. This page loads nothing from anywhere."))
