"""Each picture draws on the axes it is given, shows the numbers it was given, and refuses what it cannot show."""

from itertools import combinations

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib.axes import Axes
from matplotlib.text import Text
from scipy.stats import spearmanr

from egregium.errors import ShapeError
from egregium.report import figures
from egregium.report.labels import label_points
from egregium.report.results import Estimate
from egregium.report.style import colour, figure, inline_svg, png, svg


@pytest.fixture
def ax() -> Axes:
    return figure(6, 4).subplots()


def texts(ax: Axes) -> str:
    legend = ax.get_legend()
    found = [*ax.texts, ax.title, ax._left_title, ax.xaxis.label, *(legend.get_texts() if legend else [])]  # pyright: ignore
    return "\n".join(text.get_text() for text in found)


def test_matplotlib_settings_stay_as_they_were(ax: Axes) -> None:
    before = dict(matplotlib.rcParams)
    figures.agreement(ax, np.arange(1.0, 9), np.arange(1.0, 9), relation="geodesic")
    svg(ax.get_figure(root=True), "name")  # pyright: ignore[reportArgumentType]
    assert dict(matplotlib.rcParams) == before


def test_histogram_names_mean_and_interval_and_counts_every_pair(ax: Axes) -> None:
    cvs = {"euclidean": np.linspace(0.1, 0.5, 50), "geodesic": np.append(np.linspace(0.05, 0.2, 49), 9.0)}
    means = {"euclidean": Estimate(0.3, 0.27, 0.33)}
    assert figures.cv_histogram(ax, cvs, means, faint=("geodesic",)) is ax
    assert "0.30 [0.27, 0.33]" in texts(ax)
    heights, edges = np.histogram(np.minimum(cvs["geodesic"], ax.get_xlim()[1]), bins=np.linspace(0, ax.get_xlim()[1], 34))
    assert heights.sum() == 50
    assert edges[-1] == ax.get_xlim()[1]


def test_histogram_of_nothing_is_refused(ax: Axes) -> None:
    with pytest.raises(ShapeError, match="two trainings"):
        figures.cv_histogram(ax, {"geodesic": np.full(3, np.nan)}, {})


@pytest.mark.parametrize("d", [1, 2, 3, 16])
def test_latent_points_of_any_dimension(ax: Axes, d: int) -> None:
    points = np.random.default_rng(0).standard_normal((60, d))
    figures.latent_scatter(ax, points, np.arange(60) % 3, title="training 0")
    assert ("principal axes" in texts(ax)) == (d > 2)
    assert all(str(label) in texts(ax) for label in range(3))


def test_names_of_classes_stand_apart_on_their_own_points() -> None:
    rng = np.random.default_rng(0)
    plane, labels = rng.standard_normal((500, 2)), np.arange(500) % 10
    places = np.array(figures.name_places(plane, labels, np.arange(10), span=8.0))
    shares = np.abs(places[:, None] - places[None]) / (8.0 * figures.LETTER)
    assert (shares.max(2)[~np.eye(10, dtype=bool)] > 1).all()
    for k, place in enumerate(places):
        mine = plane[labels == k]
        assert (mine == place).all(1).any() or np.array_equal(place, np.median(mine, axis=0))


def test_a_class_that_is_covered_everywhere_keeps_its_median() -> None:
    plane, labels = np.zeros((4, 2)), np.array([0, 0, 1, 1])
    assert figures.name_places(plane, labels, np.arange(2), span=1.0) == [(0.0, 0.0)] * 2


def test_many_labels_share_a_scale_instead_of_names(ax: Axes) -> None:
    figures.latent_scatter(ax, np.random.default_rng(0).standard_normal((400, 2)), np.arange(400))
    assert not ax.texts


def test_points_in_the_plane_are_the_best_plane() -> None:
    rng = np.random.default_rng(0)
    points = rng.standard_normal((200, 5)) * np.array([5, 3, 0.1, 0.1, 0.1]) + 7
    plane, share = figures.in_plane(points)
    assert share == pytest.approx(plane.var(0).sum() / points.var(0).sum())
    assert share is not None and share > 0.99
    same, whole = figures.in_plane(points[:, :2])
    assert whole is None and (same == points[:, :2]).all()


def test_flat_latents_are_no_points() -> None:
    with pytest.raises(ShapeError, match=r"\(N, d\)"):
        figures.in_plane(np.zeros(5))


def test_nearly_even_volume_looks_even(ax: Axes) -> None:
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5)), axis=2)
    curve = np.array([[-1.0, 0.0], [1.0, 0.0]])
    figures.geodesic_map(ax, grid, 3 + 1e-6 * grid[..., 0], curve, curve)
    low, high = ax.collections[0].get_clim()
    assert high - low == pytest.approx(figures.LEAST_SPAN) and (low + high) / 2 == pytest.approx(3)


def test_map_holds_both_curves_and_survives_holes(ax: Axes) -> None:
    grid = np.stack(np.meshgrid(np.linspace(-1, 1, 5), np.linspace(-1, 1, 5)), axis=2)
    curve = np.array([[-1.0, 0.0], [0.0, 0.5], [1.0, 0.0]])
    figures.geodesic_map(ax, grid, np.where(grid[..., 0] > 0.9, np.nan, 1.0), curve, curve[::2], points=curve)
    assert texts(ax).split("\n")[-2:] == ["geodesic", "straight line"]
    png(ax.figure)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("shape", [(4, 8, 8), (4, 1, 8, 6), (4, 3, 8, 8), (4, 7), (4, 2, 3, 5, 5), (1, 4, 4)])
def test_strip_of_anything_decoded(ax: Axes, shape: tuple[int, ...]) -> None:
    assert figures.image_strip(ax, np.random.default_rng(0).random(shape), title="decoded") is ax
    png(ax.figure, dpi=40)  # pyright: ignore[reportArgumentType]


def test_images_of_unit_range_are_shown_as_they_are(ax: Axes) -> None:
    figures.image_strip(ax, np.full((2, 1, 4, 4), 0.25))
    shown = ax.images[0].get_array()
    assert shown is not None and np.isclose(shown[0, 0, 0], 0.25) and shown[0, 4, 3] == 0


def test_strip_of_nothing_is_refused(ax: Axes) -> None:
    with pytest.raises(ShapeError, match="strip of images"):
        figures.image_strip(ax, np.zeros((0, 4)))


def test_agreement_does_not_see_a_scale(ax: Axes) -> None:
    a = np.linspace(1, 5, 20)
    figures.agreement(ax, a, 1000 * a, relation="euclidean", overall=Estimate(0.7, 0.6, 0.8))
    x, y = np.asarray(ax.collections[0].get_offsets()).T
    assert np.allclose(x, y)
    assert "Spearman 1.00" in texts(ax) and "0.70 [0.60, 0.80]" in texts(ax)


def test_agreement_needs_two_pairs(ax: Axes) -> None:
    with pytest.raises(ShapeError, match="two pairs"):
        figures.agreement(ax, np.array([1.0, np.nan]), np.array([1.0, 2.0]), relation="geodesic")


@given(arrays(float, (2, 12), elements=st.integers(0, 5).map(float)))
def test_spearman_is_that_of_scipy(values: np.ndarray) -> None:
    a, b = values
    if np.ptp(a) == 0 or np.ptp(b) == 0:
        assert np.isnan(figures.spearman(a, b))
    else:
        assert figures.spearman(a, b) == pytest.approx(float(spearmanr(a, b)[0]))  # pyright: ignore[reportArgumentType]


def mark(relation: str, x: float, y: float) -> figures.Mark:
    return figures.Mark(relation, Estimate(x, x - 0.03, x + 0.03), Estimate(y, y - 0.03, y + 0.03), "CV 0.20")


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_crowded_relations_do_not_overlap(ax: Axes, seed: int) -> None:
    rng = np.random.default_rng(seed)
    ax.figure.set_size_inches(9, 5.4)  # pyright: ignore[reportAttributeAccessIssue]
    names = [f"independent_draw_{n}" for n in range(13)]
    near = np.array([0.3, 0.7]) + 0.06 * rng.standard_normal((13, 2))
    figures.score_against_rank(ax, [mark(name, *xy) for name, xy in zip(names, near, strict=True)])
    ax.get_figure(root=True).draw_without_rendering()  # pyright: ignore[reportOptionalMemberAccess]
    said = {"number": str.isdigit, "key": lambda words: "draws" in words}
    boxes = {kind: [Text.get_window_extent(text).padded(-0.5) for text in ax.texts if of(text.get_text())]
             for kind, of in said.items()}  # fmt: skip
    assert len(boxes["number"]) == 2 * 13 and len(boxes["key"]) == 13
    assert not any(a.overlaps(b) for a, b in combinations([*boxes["number"], *boxes["key"]], 2))
    assert all(box.x0 >= 0 and box.x1 <= ax.figure.bbox.x1 for kind in boxes for box in boxes[kind])


def test_labels_stay_at_other_resolutions(ax: Axes) -> None:
    ax.set_xlim(0, 1)
    ax.set_ylim(0, 1)
    (note,) = label_points(ax, np.array([[0.5, 0.5]]), ["a label"], [colour("chord")])
    before = note.get_position()
    png(ax.figure, dpi=300)  # pyright: ignore[reportArgumentType]
    assert note.get_position() == before
    assert label_points(ax, np.empty((0, 2)), [], []) == []


def test_relations_at_one_place_share_a_number(ax: Axes) -> None:
    figures.score_against_rank(ax, [mark("euclidean", 0.4, 0.6), mark("euclidean_scaled", 0.4, 0.6), mark("chord", 0.1, 0.9)])
    said = [text.get_text() for text in ax.texts]
    key = said[said.index("1") :]
    assert key[:6] == ["1", "chord · CV 0.20", "2", "Euclidean · CV 0.20", "2", "Euclidean, scaled · CV 0.20"]


def test_no_known_score_is_refused(ax: Axes) -> None:
    with pytest.raises(ShapeError, match="two trainings"):
        figures.score_against_rank(ax, [figures.Mark("chord", Estimate(np.nan), Estimate(np.nan))])


def test_pictures_are_the_same_bytes_twice() -> None:
    def draw() -> tuple[bytes, bytes]:
        fig = figure(4, 3)
        figures.agreement(fig.subplots(), np.arange(1.0, 9), np.arange(1.0, 9) ** 2, relation="geodesic")
        return svg(fig, "same"), png(fig)

    assert draw() == draw()


def test_svg_in_a_page_takes_its_inks_and_keeps_to_itself(ax: Axes) -> None:
    figures.agreement(ax, np.arange(1.0, 9), np.arange(1.0, 9), relation="chord")
    inline = inline_svg(svg(ax.figure, "a"), "a", 'two "trainings"')  # pyright: ignore[reportArgumentType]
    assert inline.startswith("<svg ") and 'aria-label="two &quot;trainings&quot;"' in inline
    assert "var(--ink)" in inline and "#1f2329" not in inline and 'id="figure_1"' not in inline
    assert "http://" not in inline.split(">", 1)[0] and "<metadata>" not in inline
