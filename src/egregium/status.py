"""Result codes: what became of each row of a computation, in a byte and in a sentence; and results in a line."""

from enum import IntEnum

import torch
from torch import Tensor


class Status(IntEnum):
    """Outcome of one row, ordered by precedence: where several apply, the largest is reported.

    >>> Status.SADDLE.sentence
    'a critical curve that is not a minimum; perturbing it did not lead to one'
    """

    CONVERGED = 0
    MAX_STEPS = 1
    STALLED = 2
    SADDLE = 3
    OUT_OF_SUPPORT = 4
    DISCONNECTED = 5
    DEGENERATE = 6
    NONFINITE = 7

    @classmethod
    def _missing_(cls, value: object) -> "Status | None":
        """A number in a tensor is taken for the number."""
        return cls(int(value)) if isinstance(value, Tensor) and value.numel() == 1 else None

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    Status.CONVERGED: "a local geodesic, the best of the starts tried, with its length known to the tolerance asked for",
    Status.MAX_STEPS: "the number of steps allowed was used up before the tolerance was met",
    Status.STALLED: "no further progress was possible before the tolerance was met",
    Status.SADDLE: "a critical curve that is not a minimum; perturbing it did not lead to one",
    Status.OUT_OF_SUPPORT: "the curve leaves the region that the support covers",
    Status.DISCONNECTED: "the support holds no path between the two points",
    Status.DEGENERATE: "the decoder loses rank on the curve, so that the metric is not definite there",
    Status.NONFINITE: "the decoder gave NaN or infinity on the curve",
}


def worst(*codes: Tensor) -> Tensor:
    """Rowwise status of highest precedence; each argument an int8 tensor of one shape."""
    return torch.stack(codes).amax(0)


def names(codes: Tensor) -> list[str]:
    """Names of a one-dimensional status tensor, as they are stored in tables."""
    return [Status(code).name for code in codes.tolist()]


def codes(names: list[str]) -> Tensor:
    """Inverse of `names`."""
    return torch.tensor([Status[name] for name in names], dtype=torch.int8)


def counts(code: Tensor) -> str:
    """How many rows ended in which status, in short.

    >>> counts(torch.tensor([0, 0, 2]))
    '2 CONVERGED, 1 STALLED'
    """
    return ", ".join(f"{int((code == value).sum())} {Status(value).name}" for value in code.unique(sorted=True).tolist())


def span(values: Tensor) -> str:
    """Least and largest of the numbers that are not NaN.

    >>> span(torch.tensor([0.5, 2.0, torch.nan])), span(torch.tensor(0.25))
    ('0.5 .. 2', '0.25')
    """
    known = values[~values.isnan()]
    if not known.numel():
        return "nan"
    low, high = f"{float(known.min()):.4g}", f"{float(known.max()):.4g}"
    return low if low == high else f"{low} .. {high}"


def describe(code: Tensor) -> str:
    """How many rows ended in which status, in words, for an error message."""
    found = [(Status(value), int((code == value).sum())) for value in code.unique(sorted=True).tolist()]
    return "; ".join(f"{count} {status.name} ({status.sentence})" for status, count in found)
