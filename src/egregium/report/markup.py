"""The few pieces of HTML that a page is made of; whatever comes from outside is escaped here."""

from collections.abc import Iterable, Sequence
from html import escape

from egregium.report.results import Estimate
from egregium.report.style import page_colour
from egregium.report.words import describe, shown


class Markup(str):
    """Text that is HTML already; every other string is escaped on its way into a page."""

    __slots__ = ()


def text(value: object) -> Markup:
    """Escaped text, or markup as it is.

    >>> text("<b>"), text(Markup("<b>"))
    ('&lt;b&gt;', '<b>')
    """
    return value if isinstance(value, Markup) else Markup(escape(str(value)))


def tag(name: str, *children: object, **attributes: str) -> Markup:
    """An element; an attribute's trailing underscore is dropped.

    >>> tag("p", "a & b", class_="lead")
    '<p class="lead">a &amp; b</p>'
    """
    inside = "".join(text(child) for child in children)
    options = "".join(f' {key.rstrip("_")}="{escape(value)}"' for key, value in attributes.items() if value)
    return Markup(f"<{name}{options}>{inside}</{name}>")


def join(parts: Iterable[object]) -> Markup:
    return Markup("\n".join(text(part) for part in parts if part))


def paragraphs(*sentences: str) -> Markup:
    return join(tag("p", sentence) for sentence in sentences if sentence)


def bullets(items: Iterable[object]) -> Markup:
    entries = [tag("li", item) for item in items]
    return tag("ul", *entries) if entries else Markup("")


def table(head: Sequence[object], rows: Iterable[Sequence[object]], *, caption: str = "", kind: str = "") -> Markup:
    """A table in a frame that scrolls sideways on narrow screens; the first cell of a row is its heading."""
    columns = tag("tr", *(tag("th", cell, scope="col") for cell in head))
    body = (tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows)
    title = tag("caption", caption) if caption else ""
    return tag("div", tag("table", title, tag("thead", columns), tag("tbody", *body), class_=kind), class_="scroll")


def section(identity: str, title: str, *children: object) -> Markup:
    return tag("section", tag("h2", title), join(children), id=identity)


def whisker(estimate: Estimate, ink: str) -> Markup:
    """A dot on the line from 0 to 1 with its interval, as a small drawing for a table's cell; nothing where unknown."""
    if not estimate.known:
        return Markup("")

    def place(value: float) -> float:
        return round(4 + 92 * min(max(value, 0.0), 1.0), 1)

    low, high = (estimate.low, estimate.high) if estimate.bounded else (estimate.value, estimate.value)
    return Markup(
        '<svg class="whisker" viewBox="0 0 100 10" aria-hidden="true"><path d="M4 5H96" class="rail"/>'
        f'<path d="M{place(low)} 5H{place(high)}" stroke="{ink}" stroke-width="3"/>'
        f'<circle cx="{place(estimate.value)}" cy="5" r="3.6" fill="{ink}"/></svg>'
    )


def interval(estimate: Estimate) -> Markup:
    """A statistic with its interval, the interval in a quieter ink."""
    words = shown(estimate)
    value, _, rest = words.partition(" ")
    return join([tag("span", value, class_="value"), tag("span", rest, class_="interval") if rest else ""])


def absent(why: str) -> Markup:
    """The sentence that stands where a part of the page is left out."""
    return tag("p", f"Left out: {why[0].lower()}{why[1:]}", class_="note")


def relation_name(relation: str, *, code: bool = False) -> Markup:
    """A relation's title behind a dot in its colour, and below it the name by which code calls it."""
    dot = tag("span", class_="dot", style=f"background:{page_colour(relation)}")
    return tag("span", dot, describe(relation).title, tag("code", relation) if code else "", class_="named")
