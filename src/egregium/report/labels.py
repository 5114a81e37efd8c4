"""Labels beside points without overlaps: each takes the cheapest of many places, given where the others stand."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation, Text

from egregium.report.style import INK, PAPER

RADII = (9.0, 15.0, 24.0, 36.0, 50.0, 66.0, 84.0, 104.0, 126.0, 150.0)  # points
DIRECTIONS = 24
SWEEPS = 6
PADDING = 2.0  # pixels
OVERLAP, OUTSIDE, CROSSING, REACH = 40.0, 200.0, 400.0, 1.0  # what a label pays for each kind of trouble
MARK, DOUBT = 4.0, 60.0  # for covering a mark, and for standing nearer to another's point than to its own


def label_points(
    ax: Axes,
    xy: np.ndarray,
    texts: Sequence[str],
    inks: Sequence[str],
    *,
    bars: np.ndarray | None = None,
    fontsize: float = 8.5,
) -> list[Annotation]:
    """Write `texts` beside the points `xy` `(N, 2)` in data coordinates, with thin leaders in `inks` where they stand apart.

    `bars` `(M, 4)` are data rectangles `(x0, y0, x1, y1)` (error bars, marks) that labels should keep off. The limits of the
    axes must be final; labels keep their distance in points, so saving at another resolution moves none of them.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None, "axes belong to a figure"
    figure.draw_without_rendering()
    notes = [_note(ax, point, text, ink, fontsize) for point, text, ink in zip(xy, texts, inks, strict=True)]
    if not notes:
        return notes
    anchors = ax.transData.transform(np.asarray(xy, dtype=float))
    extents = [Text.get_window_extent(note) for note in notes]  # without the leader
    sizes = np.array([(box.width, box.height) for box in extents]) + 2 * PADDING
    obstacles = np.concatenate([_square(anchors, 5.0), _pixels(ax, bars)])
    frame = np.array(ax.bbox.extents)
    scale = figure.dpi / 72
    offsets = _arrange(anchors, sizes, obstacles, frame, scale)
    for note, offset, size in zip(notes, offsets, sizes, strict=True):
        note.set_position(tuple(offset / scale))
        if np.hypot(*np.maximum(np.abs(offset) - size / 2, 0)) < 6 * scale and note.arrow_patch is not None:
            note.arrow_patch.set_visible(False)
    return notes


def _note(ax: Axes, point: np.ndarray, text: str, ink: str, fontsize: float) -> Annotation:
    note = ax.annotate(
        text,
        (float(point[0]), float(point[1])),
        (0, 0),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=fontsize,
        color=INK,
        zorder=6,
        linespacing=1.25,
        bbox={"boxstyle": "square,pad=0.08", "facecolor": PAPER, "edgecolor": "none", "alpha": 0.7},
        arrowprops={
            "arrowstyle": "-",
            "color": ink,
            "linewidth": 0.8,
            "alpha": 0.9,
            "shrinkA": 0,
            "shrinkB": 3,
            "relpos": (0.5, 0.5),
        },
    )
    note.set_in_layout(False)
    return note


def _pixels(ax: Axes, boxes: np.ndarray | None) -> np.ndarray:
    """Data rectangles `(M, 4)` in pixels, grown by a pixel so that a line is not nothing."""
    if boxes is None or not len(boxes):
        return np.empty((0, 4))
    corners = ax.transData.transform(np.asarray(boxes, dtype=float).reshape(-1, 2)).reshape(-1, 2, 2)
    return np.concatenate([corners.min(1) - 1, corners.max(1) + 1], axis=1)


def _square(centres: np.ndarray, half: float) -> np.ndarray:
    return np.concatenate([centres - half, centres + half], axis=1)


def _arrange(anchors: np.ndarray, sizes: np.ndarray, obstacles: np.ndarray, frame: np.ndarray, scale: float) -> np.ndarray:
    """Offsets `(N, 2)` in pixels from point to centre of label, by sweeps of coordinate descent from the nearest places."""
    angles = np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False)
    rays = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    places = [(rays[None] * (size / 2 + np.array(RADII)[:, None, None] * scale)).reshape(-1, 2) for size in sizes]
    offsets = np.array([place[0] for place in places])
    placed = np.zeros(len(anchors), dtype=bool)
    crowding = np.linalg.norm(anchors[:, None] - anchors[None], axis=2).sum(1)
    for _ in range(SWEEPS):
        for i in np.argsort(crowding):
            others = placed & (np.arange(len(anchors)) != i)
            cost = _cost(anchors, offsets, sizes, others, i, places[i], obstacles, frame, scale)
            offsets[i] = places[i][int(np.argmin(cost))]
            placed[i] = True
    return offsets


def _cost(
    anchors: np.ndarray,
    offsets: np.ndarray,
    sizes: np.ndarray,
    others: np.ndarray,
    i: int,
    places: np.ndarray,
    obstacles: np.ndarray,
    frame: np.ndarray,
    scale: float,
) -> np.ndarray:
    """Price of every place of label `i`: overlap with labels, marks and the frame, crossed leaders, and distance."""
    boxes = np.concatenate([anchors[i] + places - sizes[i] / 2, anchors[i] + places + sizes[i] / 2], axis=1)
    centres = anchors[others] + offsets[others]
    taken = np.concatenate([centres - sizes[others] / 2, centres + sizes[others] / 2], axis=1)
    outside = np.maximum(frame[:2] - boxes[:, :2], 0).sum(1) + np.maximum(boxes[:, 2:] - frame[2:], 0).sum(1)
    cost = REACH * np.hypot(*np.maximum(np.abs(places) - sizes[i] / 2, 0).T) / scale
    cost += OUTSIDE * outside + OVERLAP * _shared(boxes, taken) + MARK * _shared(boxes, obstacles)
    foreign = np.linalg.norm(anchors - anchors[i], axis=1) > 1
    if foreign.any():
        own, nearest = _gaps(boxes, anchors[i : i + 1])[:, 0], _gaps(boxes, anchors[foreign]).min(1)
        cost += DOUBT * np.maximum(own + 6 - nearest, 0) / scale
    starts = np.broadcast_to(anchors[i], places.shape)
    ends = anchors[i] + places
    for anchor, centre, box in zip(anchors[others], centres, taken, strict=True):
        cost += CROSSING * _cross(starts, ends, anchor, centre)
        cost += CROSSING * _hits(starts, ends, box) + CROSSING * _hits_boxes(anchor, centre, boxes)
    return cost


def _shared(boxes: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Summed overlap `(K,)` of boxes `(K, 4)` with boxes `(M, 4)`, as square root of area (pixels)."""
    low = np.maximum(boxes[:, None, :2], taken[None, :, :2])
    high = np.minimum(boxes[:, None, 2:], taken[None, :, 2:])
    return np.sqrt(np.maximum(high - low, 0).prod(2)).sum(1)


def _gaps(boxes: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Distances `(K, M)` from boxes `(K, 4)` to points `(M, 2)`, 0 inside."""
    low, high = boxes[:, None, :2] - points[None], points[None] - boxes[:, None, 2:]
    return np.linalg.norm(np.maximum(np.maximum(low, high), 0), axis=2)


def _cross(starts: np.ndarray, ends: np.ndarray, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Which segments `(K)` properly cross the segment `pq`."""

    def side(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
        return np.sign((b - a)[..., 0] * (c - a)[..., 1] - (b - a)[..., 1] * (c - a)[..., 0])

    apart = side(starts, ends, p) * side(starts, ends, q) < 0
    return apart & (side(p, q, starts) * side(p, q, ends) < 0)


def _hits(starts: np.ndarray, ends: np.ndarray, box: np.ndarray) -> np.ndarray:
    """Which segments run through one box, tested at points along them."""
    along = starts[:, None] + np.linspace(0.1, 1, 10)[:, None] * (ends - starts)[:, None]
    return np.any(np.all((along > box[:2]) & (along < box[2:]), axis=2), axis=1)


def _hits_boxes(start: np.ndarray, end: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Which boxes one segment runs through, tested at points along it."""
    along = start + np.linspace(0.1, 1, 10)[:, None] * (end - start)
    return np.any(np.all((along[None] > boxes[:, None, :2]) & (along[None] < boxes[:, None, 2:]), axis=2), axis=1)
