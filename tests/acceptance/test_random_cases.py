"""Acceptance 5: what must hold of every result, whatever the decoder, on 10,000 random cases."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from egregium.geodesics import connect
from egregium.spaces import Pullback
from egregium.status import names
from egregium.testing.twins import random_decoder

RTOL = 1e-3
SCALES = (1e-6, 1e-3, 1e3, 1e6)
NUMBERS = {"length": 1, "energy": 2, "lower": 1, "upper": 1, "second_best": 1}


@dataclass
class Tally:
    """Breaches of each law, with the largest size that was seen."""

    cases: int = 0
    statuses: Counter[str] = field(default_factory=Counter)
    breaches: Counter[str] = field(default_factory=Counter)
    largest: dict[str, float] = field(default_factory=dict)

    def see(self, law: str, size: Tensor, allowed: float) -> None:
        """Record the sizes by which a law fails, one for each case; NaN counts as a breach."""
        self.breaches[law] += int((~(size <= allowed)).sum())
        self.largest[law] = max(self.largest.get(law, 0.0), float(size.max()) if size.numel() else 0.0)

    def __str__(self) -> str:
        laws = "; ".join(f"{law}: {self.breaches[law]} breaches, largest {self.largest[law]:.1e}" for law in self.breaches)
        return f"{self.cases} cases, {dict(self.statuses)}; {laws}"


def shape_of_case(seed: int) -> tuple[int, int]:
    """Latent and ambient dimension, all combinations in turn; from D = 2 d + 1 on random maps are injective of full rank."""
    d = (2, 3, 2, 5)[seed % 4]
    return d, (2 * d + 1, 20, 40)[seed % 3]


def relative(a: Tensor, b: Tensor) -> Tensor:
    """Relative difference; equal NaN and equal zero differ by 0."""
    same = (a == b) | (a.isnan() & b.isnan())
    return torch.where(same, 0.0, (a - b).abs() / b.abs())


def examine(seed: int, pairs: int, tally: Tally) -> None:
    """One decoder and `pairs` pairs of it: consecutive points of a random walk, so that triangles come for free."""
    d, ambient = shape_of_case(seed)
    decoder = random_decoder(d, ambient, seed)
    points = torch.randn(pairs + 2, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    a, b, c = points[:-2], points[1:-1], points[2:]
    space = Pullback(decoder, dim=d)
    g = connect(space, a, b, rtol=RTOL, on_fail="mark")
    tally.cases += pairs
    tally.statuses.update(names(g.status))

    tally.see("lower <= length <= upper", torch.maximum(g.lower - g.length, g.length - g.upper) / g.length, 0.0)
    again = connect(space, a[g.ok], b[g.ok], rtol=RTOL / 100, starts=g[g.ok], on_fail="mark")
    tally.see("re-solved from itself at rtol / 100", relative(again.length, g.length[g.ok])[again.ok], RTOL)
    tally.see("symmetric", relative(connect(space, b, a, rtol=RTOL, on_fail="mark").length, g.length), 0.0)
    scale = SCALES[seed % len(SCALES)]
    scaled = connect(Pullback(lambda z: scale * decoder(z), dim=d), a, b, rtol=RTOL, on_fail="mark")
    for name, power in NUMBERS.items():
        tally.see(f"{name} scales", relative(getattr(scaled, name), getattr(g, name) * scale**power), 1e-9)
    tally.see("status scales", (scaled.status != g.status).double(), 0.0)
    far = connect(space, a[:-1], c[:-1], rtol=RTOL, on_fail="mark")
    usable = far.ok & g.ok[:-1] & g.ok[1:]
    excess = far.lower / (g.upper[:-1] + g.upper[1:]) - 1
    tally.see("lower(ac) <= upper(ab) + upper(bc)", excess[usable], 0.0)


def alone_and_among_others(seed: int, batch: int, alone: int, tally: Tally) -> None:
    """Some pairs of a batch, each solved on its own."""
    d, ambient = shape_of_case(seed)
    space = Pullback(random_decoder(d, ambient, seed), dim=d)
    z0, z1 = torch.randn(2, batch, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    together = connect(space, z0, z1, rtol=RTOL, on_fail="mark")
    for row in range(0, batch, batch // alone):
        one = connect(space, z0[row], z1[row], rtol=RTOL, on_fail="mark")
        for name in NUMBERS:
            tally.see(f"{name} alone", relative(getattr(one, name), getattr(together, name)[row]).reshape(1), 1e-12)
        unequal = (one.status != together.status[row]) | (one.segments != together.segments[row])
        tally.see("status and segments alone", unequal.double().reshape(1), 0.0)
        t = torch.linspace(0, 1, 5, dtype=torch.float64)
        tally.see("curve alone", (one(t) - together[row](t)).abs().amax().reshape(1), 1e-11)


def require_none(tally: Tally) -> None:
    assert not +tally.breaches, str(tally)


def test_laws_hold_on_a_few_cases() -> None:
    tally = Tally()
    for seed in range(1, 4):
        examine(seed, 8, tally)
    require_none(tally)


def test_a_pair_does_not_depend_on_its_batch() -> None:
    tally = Tally()
    alone_and_among_others(0, batch=24, alone=2, tally=tally)
    alone_and_among_others(3, batch=24, alone=2, tally=tally)
    require_none(tally)


def test_a_breach_is_seen() -> None:
    tally = Tally()
    tally.see("law", torch.tensor([0.0, 2.0, torch.nan]), 1.0)
    assert tally.breaches["law"] == 2
    with pytest.raises(AssertionError, match="2 breaches"):
        require_none(tally)


@pytest.mark.slow
def test_acceptance_5() -> None:
    tally = Tally()
    for seed in range(100):
        examine(seed, 100, tally)
    print(f"\nacceptance 5: {tally}")
    require_none(tally)


@pytest.mark.slow
def test_acceptance_5_alone_and_in_a_batch_of_1000() -> None:
    tally = Tally()
    for seed in range(4):
        alone_and_among_others(seed, batch=1000, alone=20, tally=tally)
    print(f"\nacceptance 5, alone and in a batch of 1000: {tally}")
    require_none(tally)
