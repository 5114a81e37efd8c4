"""Plain-language sentences: what each relation is, how a number with its interval reads, and what the comparison shows."""

import math
import re
from dataclasses import dataclass
from numbers import Real
from typing import get_args

from egregium.errors import OptionError
from egregium.identifiability.scope import Endpoint, Likelihood, scope
from egregium.report.results import Estimate, Results

SCORE = "1\N{NO-BREAK SPACE}\N{MINUS SIGN}\N{NO-BREAK SPACE}ICC"
NOTHING = "\N{EM DASH}"
ANY_CHART = "any smooth change of latent coordinates"
AFFINE = "affine maps of the latent space"
ENDPOINTS = {"encoder": "endpoints by encoder mean", "projection": "endpoints by nearest point of the surface"}


@dataclass(frozen=True)
class Description:
    """A relation in words: `title` for headings, `short` for labels, `what` it is, what leaves it unchanged."""

    title: str
    short: str
    what: str
    invariant: str


DESCRIPTIONS = {
    "euclidean": Description(
        "Euclidean distance",
        "Euclidean",
        "Straight distance between two codes, read off the latent space as it came.",
        "rotations and shifts of the latent space",
    ),
    "euclidean_scaled": Description(
        "Scaled Euclidean distance",
        "Euclidean, scaled",
        "The same, divided by its mean in that training.",
        "rotations, shifts and one scale",
    ),
    "euclidean_whitened": Description(
        "Whitened Euclidean distance", "Euclidean, whitened", "Distance after the codes of each training are whitened.", AFFINE
    ),
    "euclidean_aligned": Description(
        "Aligned Euclidean distance",
        "Euclidean, aligned",
        "Distance after the best affine map of each training onto the first: the most that a linear correction can do.",
        AFFINE,
    ),
    "chord": Description(
        "Decoded chord",
        "chord",
        "Distance between the two decoded points, straight through data space: two decoder calls.",
        ANY_CHART,
    ),
    "straight_length": Description(
        "Length of the latent straight line",
        "straight line",
        "Length in data space of the path that the straight line between the codes decodes to.",
        AFFINE,
    ),
    "geodesic": Description(
        "Geodesic distance",
        "geodesic",
        "Length of the shortest path along the surface that the decoders draw, in the expected metric of all decoders.",
        ANY_CHART,
    ),
    "geodesic_mean": Description(
        "Geodesic distance of the mean decoder",
        "geodesic, mean decoder",
        "The same on the surface of the averaged decoder.",
        ANY_CHART,
    ),
    "geodesic_one": Description(
        "Geodesic distance of one decoder", "geodesic, one decoder", "The same on the surface of a single decoder.", ANY_CHART
    ),
    "angle": Description("Angle", "angle", "Angle at a point between the geodesics to two others.", ANY_CHART),
    "density": Description(
        "Log-density", "density", "Log-density of the prior measured against the volume of the surface.", ANY_CHART
    ),
}

_DRAWS = re.compile(r"independent_draw_(\d+)")


def describe(relation: str) -> Description:
    """Words for a relation; one that the library does not know is named as its author named it.

    >>> describe("independent_draw_256").short
    'independent draws, 256'
    """
    draws = _DRAWS.fullmatch(relation)
    if draws:
        points = draws.group(1)
        return Description(
            f"Independent-draw length at {points} points",
            f"independent draws, {points}",
            f"The published ensemble estimate: another decoder drawn at each of {points} points of the curve. It grows with "
            "the number of points and is not a metric; kept for comparison.",
            "nothing that a theorem covers",
        )
    own = relation.replace("_", " ")
    return DESCRIPTIONS.get(
        relation, Description(own[:1].upper() + own[1:], own, "A relation of your own.", "as its author states")
    )


def in_prose(relation: str) -> str:
    """A relation's title inside a sentence.

    >>> in_prose("euclidean_aligned"), in_prose("chord")
    ('aligned Euclidean distance', 'decoded chord')
    """
    title = describe(relation).title
    return title if title.startswith("Euclidean") else title[:1].lower() + title[1:]


def number(value: float, decimals: int | None = None) -> str:
    """A number with two decimals, three where it is small, or as many as given.

    >>> number(0.31234), number(0.01234), number(math.nan), number(1234.5)
    ('0.31', '0.012', '—', '1234')
    """
    if not math.isfinite(value):
        return NOTHING
    places = _decimals(value) if decimals is None else decimals
    small = decimals is None and 0 < abs(value) < 5e-4
    return (f"{value:.1e}" if small else f"{value:.{places}f}").replace("-", "\N{MINUS SIGN}")


def shown(estimate: Estimate) -> str:
    """A statistic with its interval, all three to the same decimals.

    >>> shown(Estimate(0.312, 0.287, 0.341)), shown(Estimate(0.3)), shown(Estimate(math.nan))
    ('0.31 [0.29, 0.34]', '0.30 (no interval)', '—')
    >>> shown(Estimate(0.9512, 0.9501, 0.9524))
    '0.951 [0.950, 0.952]'
    """
    if not estimate.known:
        return NOTHING
    if not estimate.bounded:
        return f"{number(estimate.value)} (no interval)"
    narrow = estimate.high - estimate.low < 0.005
    places = max(_decimals(estimate.value), 3 if narrow and abs(estimate.value) < 10 else 0)
    value, low, high = (number(bound, places) for bound in estimate)
    return f"{value} [{low}, {high}]"


def _decimals(value: float) -> int:
    return 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 0.1 else 3 if abs(value) >= 0.005 else 4


def share(score: float) -> str:
    """A share in words.

    >>> share(0.01), share(0.31), share(0.98)
    ('almost nothing', 'about a third', 'nearly everything')
    """
    if not math.isfinite(score):
        return "not known"
    steps = (
        (0.02, "almost nothing"),
        (0.075, "about a twentieth"),
        (0.15, "about a tenth"),
        (0.225, "about a fifth"),
        (0.29, "about a quarter"),
        (0.365, "about a third"),
        (0.45, "about two fifths"),
        (0.55, "about half"),
        (0.635, "about three fifths"),
        (0.71, "about two thirds"),
        (0.775, "about three quarters"),
        (0.9, "about four fifths"),
        (1.0, "nearly everything"),
    )
    return next((words for limit, words in steps if score < limit), "everything")


def why_undefined(results: Results) -> str:
    """The reason why dispersion is not defined in this study, or nothing where it is."""
    trainings = len(results.models)
    if trainings > 1:
        return ""
    return (
        "This study holds one training. How much a number changes from training to training cannot be seen from one: every "
        "statistic of dispersion is left open. The values themselves, their status and the ratios below are valid. "
        "Two trainings give a first answer, ten or more give intervals worth reading."
    )


def ordered(results: Results, endpoint: str) -> list[str]:
    """Relations in the order in which they are described; relations of the user's own come last."""
    known = list(DESCRIPTIONS)
    return sorted(
        results.relations(endpoint), key=lambda name: (known.index(name) if name in known else len(known), len(name), name)
    )


def theory(results: Results, relation: str, endpoint: str) -> str:
    """What the scope ledger says of a relation under the study's likelihood, in a few words; empty where it is silent.

    This holds in the limit of perfect training; the statistics say how far the trainings are from it.
    """
    likelihood = results.setting("likelihood")
    where = next((name for name in get_args(Endpoint) if name == endpoint), None)
    several = (results.setting("decoders") or 1) != 1 and relation in ("geodesic", "angle", "density", "chord")
    try:
        known = likelihood if likelihood in get_args(Likelihood) else "unknown"
        found = scope(known, relation, endpoint=where, ensemble="expected" if several else None)
    except OptionError:  # a relation of the user's own
        return ""
    return {
        "by theorem": "identifiable by theorem",
        "under assumption": "identifiable only under assumptions",
        "no": "not identifiable",
    }[found.identifiable]


def endpoint_words(endpoint: str) -> str:
    return ENDPOINTS.get(endpoint, f"endpoints: {endpoint}")


def percent(value: float) -> str:
    """A share; one that is not quite all or nothing never reads as 100 % or 0 %.

    >>> percent(1.0), percent(0.99999), percent(0.5), percent(0.0)
    ('100 %', '99.9 %', '50.0 %', '0 %')
    """
    if not math.isfinite(value):
        return NOTHING
    if value in (0.0, 1.0):
        return f"{value:.0%}".replace("%", " %")
    return f"{min(max(100 * value, 0.1), 99.9):.1f} %"


def p_value(p: float) -> str:
    """
    >>> p_value(0.02), p_value(3e-17), p_value(0.0)
    ('0.020', '3e-17', 'below 1e-99')
    """
    if not math.isfinite(p):
        return NOTHING
    return f"{p:.3f}" if p >= 0.001 else f"{p:.0e}" if p > 1e-99 else "below 1e-99"


def counted(n: int, noun: str) -> str:
    """
    >>> counted(1, "pair"), counted(100, "pair")
    ('1 pair', '100 pairs')
    """
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def sentence_case(words_: str) -> str:
    return words_[:1].upper() + words_[1:]


def real(value: object) -> float:
    """A number from JSON or a table, NaN where there is none."""
    return float(value) if isinstance(value, Real) else math.nan
