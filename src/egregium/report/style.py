"""One look for every figure: colours that colour-blind readers tell apart, inks that a page can recolour, two file formats."""

import io
import re
from collections.abc import Callable
from functools import wraps
from html import escape
from typing import Any, ParamSpec, TypeVar

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

P = ParamSpec("P")
R = TypeVar("R")

# Okabe and Ito's palette without its yellow, which vanishes on white, and its black, which vanishes on a dark page.
BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, GREY = (
    "#0072b2",
    "#d55e00",
    "#009e73",
    "#cc79a7",
    "#e69f00",
    "#56b4e9",
    "#8a8f98",
)
CLASS_COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, GREY)
CLASS_MARKERS = ("o", "^", "s", "P")

# Inks are odd values on purpose: a page replaces these by its own variables, so that they follow a dark background.
INK, MUTED, RULE, PAPER = "#1f2329", "#5f6672", "#d6d9de", "#fffffe"
VARIABLES = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)", PAPER: "var(--paper)", BLUE: "var(--blue)"}

VOLUME = LinearSegmentedColormap.from_list("volume", ["#fbfbf8", "#dfe2e4", "#b4bac1", "#818a95", "#4d5662"])

RC: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10.0,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 10.0,
    "xtick.labelsize": 9.0,
    "ytick.labelsize": 9.0,
    "legend.fontsize": 9.0,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "grid.color": RULE,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.8,
    "svg.fonttype": "path",
    "path.simplify": True,
}

FAMILIES = {
    "euclidean": VERMILLION,
    "chord": GREEN,
    "straight": PURPLE,
    "geodesic": BLUE,
    "independent": ORANGE,
    "angle": SKY,
    "density": GREY,
}


def colour(relation: str) -> str:
    """Colour of a relation's family; grey for relations that the library does not know.

    >>> colour("euclidean_whitened") == colour("euclidean")
    True
    """
    return FAMILIES.get(relation.split("_")[0], GREY)


def page_colour(relation: str) -> str:
    """The same colour as CSS, which the page may lighten on a dark background."""
    return VARIABLES.get(colour(relation), colour(relation))


def styled(draw: Callable[P, R]) -> Callable[P, R]:
    """Run a drawing function under the house style and leave matplotlib's settings as they were."""

    @wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> R:
        with matplotlib.rc_context(RC):
            return draw(*args, **kwargs)

    return wrapper


@styled
def figure(width: float, height: float) -> Figure:
    """An empty figure in inches, free of pyplot and of any display."""
    made = Figure(figsize=(width, height), layout="constrained", facecolor=PAPER)
    FigureCanvasAgg(made)
    made.get_layout_engine().set(h_pad=0.1, w_pad=0.05)  # pyright: ignore[reportOptionalMemberAccess, reportCallIssue]
    return made


def dress(ax: Axes, *, grid: bool = False) -> Axes:
    """Give axes that somebody else made the frame of the house."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.spines[["left", "bottom"]].set_color(MUTED)
    if grid:
        ax.grid(True, color=RULE, linewidth=0.6)
        ax.set_axisbelow(True)
    return ax


def bare(ax: Axes) -> Axes:
    """Axes without ticks inside a thin frame: coordinates that mean nothing are not shown."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(True)
    ax.spines[:].set_color(RULE)
    return ax


@styled
def png(fig: Figure, dpi: int = 200) -> bytes:
    """The figure as PNG on white."""
    return _save(fig, "png", dpi=dpi, metadata={"Software": "egregium"})


@styled
def svg(fig: Figure, name: str) -> bytes:
    """The figure as a stand-alone SVG on white, the same bytes for the same figure."""
    with matplotlib.rc_context({"svg.hashsalt": name}):
        return _save(fig, "svg", dpi=200, metadata={"Date": None, "Creator": "egregium"})


def inline_svg(standalone: bytes, name: str, label: str) -> str:
    """An SVG made to stand in a page: its inks follow the page's colours, its identifiers are its own.

    `name` must be unique on the page; `label` is what a screen reader says.
    """
    text = standalone.decode()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r'\bid="', f'id="{name}-', text)
    text = text.replace("url(#", f"url(#{name}-").replace('href="#', f'href="#{name}-')
    for ink, variable in VARIABLES.items():
        text = text.replace(ink, variable)
    head, rest = text.split(">", 1)
    head = re.sub(r'\s(width|height|version|xmlns(:\w+)?)="[^"]*"', "", head)
    return f'{head} role="img" aria-label="{escape(label)}">{rest}'


def _save(fig: Figure, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    fig.savefig(buffer, format=kind, facecolor=PAPER, **options)
    return buffer.getvalue()
