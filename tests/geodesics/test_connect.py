"""`connect`: laws of its results in float64, its keywords, and every status it can end in."""

import math
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError, ToleranceError
from egregium.geodesics import Geodesic, SupportGraph, connect, solvers
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.surfaces import Cylinder, StereographicSphere
from egregium.testing.twins import random_decoder

NUMBERS = ("length", "energy", "lower", "upper", "second_best", "status", "segments", "steps")


def points(n: int, d: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    z0, z1 = torch.randn(2, n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return z0, z1


def hill(height: float, width: float = 0.5, aside: float = 0.0) -> Pullback:
    """The plane with a hill of Gauss's shape at `(0, aside)`."""

    def decoder(z: Tensor) -> Tensor:
        centre = torch.tensor([0.0, aside], dtype=z.dtype)
        up = height * (-((z - centre) ** 2).sum(-1, keepdim=True) / (2 * width**2)).exp()
        return torch.cat([z, up], -1)

    return Pullback(decoder, dim=2)


ACROSS = torch.tensor([-1.5, 0.0]).double(), torch.tensor([1.5, 0.0]).double()


@settings(max_examples=8)
@given(st.integers(0, 1000))
def test_laws_on_random_decoders(seed: int) -> None:
    space = Pullback(random_decoder(2, 12, seed), dim=2)
    g = connect(space, *points(4, seed=seed))
    assert (g.lower <= g.length).all() and (g.length <= g.upper).all() and (g.energy >= g.length**2).all()
    assert (g.second_best.nan_to_num(nan=torch.inf) >= g.length * (1 - 1e-3)).all()


def test_a_quarter_of_a_great_circle() -> None:
    space = Pullback(StereographicSphere().decode, dim=2)
    g = connect(space, torch.tensor([1.0, 0.0]).double(), torch.tensor([0.0, 1.0]).double(), rtol=1e-10)
    assert g.length.item() == pytest.approx(math.pi / 2, rel=1e-10)
    assert g.energy.item() == pytest.approx(math.pi**2 / 4, rel=1e-9)
    assert g.lower.item() == pytest.approx(2**0.5, rel=1e-12)
    torch.testing.assert_close(g(0.5).norm(), torch.tensor(1.0).double(), rtol=1e-6, atol=0)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtypes(dtype: torch.dtype) -> None:
    z0, z1 = Cylinder().sample(8, torch.Generator().manual_seed(0)).chunk(2)
    g = connect(Pullback(Cylinder().decode), z0.to(dtype), z1.to(dtype))
    assert g.length.dtype == g.lower.dtype == g.nodes.dtype == dtype
    torch.testing.assert_close(g.length.double(), Cylinder().distance(z0, z1), rtol=1e-4, atol=0)


def test_closed_forms_are_used_where_there_are_some() -> None:
    z0, z1 = points(5)
    g = connect(Euclidean(2), z0, z1)
    torch.testing.assert_close(g.length, (z1 - z0).norm(dim=-1), rtol=1e-15, atol=0)  # sums may be fused, or not
    assert torch.equal(g.initial_velocity, z1 - z0)
    assert (g.lower == g.upper).all() and (g.steps == 0).all() and g.ok.all()
    torch.testing.assert_close(g(0.25), z0 + 0.25 * (z1 - z0))


def test_equal_points_are_at_distance_zero() -> None:
    z0, z1 = points(3)
    z1[1] = z0[1]
    for space in (Pullback(random_decoder(2, 12, 0), dim=2), Euclidean(2)):
        g = connect(space, z0, z1)
        assert g.ok.all()
        still = g[1]
        assert (still.length, still.energy, still.lower, still.upper) == (0, 0, 0, 0)
        assert (still.initial_velocity == 0).all() and (still.final_velocity == 0).all()
        torch.testing.assert_close(still(torch.linspace(0, 1, 4)), z0[1].expand(4, 2))
        assert (g.length[[0, 2]] > 0).all()


@pytest.mark.parametrize("rtol", [1e-3, 1e-8])
def test_a_start_that_is_exact_is_the_answer(rtol: float) -> None:
    """The first gradient is zero up to rounding, which is that of the processor's sums."""
    space = Pullback(lambda z: torch.cat([2 * z, 0 * z[:, :1]], -1), dim=2)
    g = connect(space, torch.zeros(2).double(), torch.tensor([1.0, 0.0]).double(), rtol=rtol)
    assert g.length.item() == pytest.approx(2, rel=1e-15) and g.steps.item() < 20


def test_near_points_are_at_small_distance() -> None:
    space, (z, v) = Pullback(random_decoder(2, 12, 0), dim=2), points(6)
    for size in (1e-3, 1e-6, 1e-9):
        g = connect(space, z, z + size * v, on_fail="mark")
        torch.testing.assert_close(g.length, space.norm(z, v) * size, rtol=1e-2 if size > 1e-4 else 1e-4, atol=0)


def test_pairs_do_not_influence_each_other() -> None:
    space, (z0, z1) = Pullback(random_decoder(2, 12, 1), dim=2), points(6)
    together = connect(space, z0, z1)
    for row in range(6):
        alone = connect(space, z0[row], z1[row])
        for name in NUMBERS:
            torch.testing.assert_close(getattr(alone, name), getattr(together, name)[row], rtol=1e-12, atol=0, equal_nan=True)


def test_a_failing_pair_leaves_the_others_alone() -> None:
    space = Pullback(lambda z: torch.cat([z, z[:, :1].log()], -1), dim=2)
    z0, z1 = points(4)
    z0, z1 = z0.abs() + 0.1, z1.abs() + 0.1
    good = connect(space, z0, z1)
    z1[2] = -z1[2]
    mixed = connect(space, z0, z1, on_fail="mark")
    assert mixed.status.tolist() == [Status.CONVERGED] * 2 + [Status.NONFINITE, Status.CONVERGED]
    torch.testing.assert_close(mixed.length[[0, 1, 3]], good.length[[0, 1, 3]], rtol=1e-12, atol=0)


def test_large_batches_are_worked_in_pieces(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    space, (z0, z1) = Pullback(random_decoder(2, 12, 1), dim=2), points(5)
    whole = connect(space, z0, z1)
    monkeypatch.setattr(sys.modules["egregium.geodesics.connect"], "BUDGET", 1)
    pieces = connect(space, z0, z1, progress=True)
    torch.testing.assert_close(pieces.length, whole.length, rtol=1e-12, atol=0)
    assert "5 of 5" in "".join(capfd.readouterr())


@pytest.mark.parametrize("factor", [1e-6, 1e6])
def test_scaling_the_output_scales_every_number(factor: float) -> None:
    decoder, (z0, z1) = random_decoder(2, 12, 2), points(5)
    g = connect(Pullback(decoder, dim=2), z0, z1)
    scaled = connect(Pullback(lambda z: factor * decoder(z), dim=2), z0, z1)
    for name, power in (("length", 1), ("energy", 2), ("lower", 1), ("upper", 1), ("second_best", 1)):
        expected = factor**power * getattr(g, name)
        torch.testing.assert_close(getattr(scaled, name), expected, rtol=1e-9, atol=0, equal_nan=True)
    assert torch.equal(scaled.status, g.status) and torch.equal(scaled.segments, g.segments)


def test_moving_the_output_by_an_isometry_changes_nothing() -> None:
    decoder, (z0, z1) = random_decoder(2, 12, 2), points(5)
    rotation = torch.linalg.qr(torch.randn(12, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)).Q
    moved = connect(Pullback(lambda z: decoder(z) @ rotation + 1.0, dim=2), z0, z1, rtol=1e-8)
    torch.testing.assert_close(moved.length, connect(Pullback(decoder, dim=2), z0, z1, rtol=1e-8).length, rtol=1e-8, atol=0)


# Saddles and several minima


def test_a_saddle_is_left() -> None:
    """The line over a symmetric hill is critical, and no minimum: the geodesic goes round, on either side."""
    space = hill(2.0)
    over = connect(space, *ACROSS, on_fail="mark", solver=solvers.GaussNewton(segments=(64, 128)))
    g = connect(space, *ACROSS)
    aside = g(0.5)[1].abs().item()
    assert g.ok and aside > 0.3
    assert over(0.5)[1].abs() > 0.3
    bent = torch.stack([torch.linspace(-1.5, 1.5, 9), torch.cos(torch.linspace(-1.5, 1.5, 9))], -1).double()
    for start in (bent, bent * torch.tensor([1.0, -1.0])):
        assert connect(space, *ACROSS, starts=start).length.item() == pytest.approx(g.length.item(), rel=1e-3)


def test_a_low_hill_is_no_saddle() -> None:
    g = connect(hill(0.1), *ACROSS)
    assert g.ok and g(0.5)[1].abs() < 1e-6


def test_the_shorter_way_round_is_best_and_the_longer_second() -> None:
    space = hill(2.0, aside=0.15)
    bent = torch.stack([torch.linspace(-1.5, 1.5, 9), torch.cos(torch.linspace(-1.5, 1.5, 9))], -1).double()
    below, above = (connect(space, *ACROSS, starts=bent * torch.tensor([1.0, side])) for side in (-1.0, 1.0))
    assert below.length < above.length and above(0.5)[1] > 0 > below(0.5)[1]
    both = connect(space, *ACROSS, starts=[bent, bent * torch.tensor([1.0, -1.0])])
    assert both.length.item() == pytest.approx(below.length.item(), rel=1e-6)
    assert both.second_best.item() == pytest.approx(above.length.item(), rel=3e-2)
    assert below.second_best.isnan()


def test_a_result_is_a_start() -> None:
    space, (z0, z1) = Pullback(random_decoder(2, 12, 3), dim=2), points(4)
    g = connect(space, z0, z1)
    again = connect(space, z0, z1, starts=g, rtol=1e-6)
    torch.testing.assert_close(again.length, g.length, rtol=1e-3, atol=0)
    assert connect(space, z0, z1, starts=[g.nodes, g.nodes]).ok.all()


# Supports


def ring(pieces: int = 40, radius: float | None = None, gap: bool = False) -> SupportGraph:
    """A graph along the unit circle, closed or with a gap on both sides of the x axis."""
    t = torch.arange(pieces, dtype=torch.float64) * (2 * math.pi / pieces)
    edges = torch.stack([torch.arange(pieces), (torch.arange(pieces) + 1) % pieces], -1)
    edges = edges[[k for k in range(pieces) if not gap or k not in (pieces // 4, 3 * pieces // 4)]]
    return SupportGraph(torch.stack([t.cos(), t.sin()], -1), edges, torch.full((len(edges),), 2 * math.pi / pieces), radius)


FAR = torch.tensor([-1.0, 0.0]).double(), torch.tensor([1.0, 0.0]).double()


def test_a_support_gives_starts() -> None:
    """Over a hill too high to leave by itself... the route round it along the data is found."""
    g = connect(hill(3.0), *FAR, support=ring())
    assert g.ok and g(0.5)[1].abs() > 0.3


def test_disconnected() -> None:
    support = ring(gap=True)
    near = torch.tensor([0.98, 0.2]).double(), torch.tensor([0.98, -0.2]).double()
    z0, z1 = torch.stack([FAR[0], near[0]]), torch.stack([FAR[1], near[1]])
    g = connect(Pullback(lambda z: z.repeat(1, 2), dim=2), z0, z1, support=support, on_fail="mark")
    assert g.status.tolist() == [Status.DISCONNECTED, Status.CONVERGED]


def test_out_of_support() -> None:
    flat = Pullback(lambda z: z.repeat(1, 2) / 2**0.5, dim=2)
    near = torch.tensor([0.98, 0.2]).double(), torch.tensor([0.98, -0.2]).double()
    z0, z1 = torch.stack([FAR[0], near[0]]), torch.stack([FAR[1], near[1]])
    g = connect(flat, z0, z1, support=ring(radius=0.3), on_fail="mark")
    assert g.status.tolist() == [Status.OUT_OF_SUPPORT, Status.CONVERGED]
    assert connect(flat, z0, z1, support=ring(radius=2.0)).ok.all()


# Failure paths


def wavy(z: Tensor) -> Tensor:
    return torch.cat([z, 5 * (2 * z).sin()], -1)


def test_too_few_steps_raise_with_the_result_or_mark() -> None:
    z0, z1 = points(3)
    with pytest.raises(NotConvergedError, match=r"3 of 3 geodesics did not converge \(rows 0, 1, 2\): 3 MAX_STEPS") as caught:
        connect(Pullback(wavy, dim=2), z0, z1, max_steps=1)
    assert isinstance(caught.value.result, Geodesic) and caught.value.result.length.shape == (3,)
    marked = connect(Pullback(wavy, dim=2), z0, z1, max_steps=1, on_fail="mark")
    assert (marked.status == Status.MAX_STEPS).all() and not marked.ok.any()
    assert torch.isfinite(marked.length).all() and (marked.length <= marked.upper).all()


def test_degenerate_wherever_rank_is_lost() -> None:
    cases = {
        "one dimension ignored": lambda z: torch.stack([z[:, 0], z[:, 0] ** 2], -1),
        "two dimensions that do the same": lambda z: torch.stack([z.sum(-1), z.sum(-1) ** 2], -1),
        "a cusp on the way": lambda z: torch.stack([z[:, 0] ** 3, z[:, 0] ** 4, z[:, 1]], -1),
    }
    for name, decoder in cases.items():
        g = connect(Pullback(decoder, dim=2), -torch.ones(2).double(), torch.ones(2).double(), on_fail="mark")
        assert g.status == Status.DEGENERATE, name


def test_badly_scaled_coordinates_are_not_degenerate() -> None:
    space = Pullback(lambda z: torch.stack([z[:, 0], 1e-8 * z[:, 1], z[:, 0] * 1e-3], -1), dim=2)
    assert connect(space, torch.zeros(2).double(), torch.tensor([1.0, 1e8]).double()).ok


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"rtol": 1e-15}, ToleranceError, r"rtol must lie in \[1\.1e-14, 1\)"),
        ({"rtol": 1.0}, ToleranceError, "rtol"),
        ({"rtol": math.nan}, ToleranceError, "rtol"),
        ({"max_steps": 0}, OptionError, "at least 1"),
        ({"on_fail": "ignore"}, OptionError, '"raise" or "mark"'),
        ({"support": torch.zeros(3, 2)}, OptionError, "SupportGraph"),
        ({"solver": solvers.GaussNewton(segments=(4, 12))}, OptionError, "twice the one before"),
        ({"starts": torch.zeros(5, 3)}, ShapeError, "a start must have shape"),
        ({"starts": torch.zeros(4, 5, 2)}, ShapeError, "a start must have shape"),
        ({"starts": torch.zeros(1, 2)}, ShapeError, "a start must have shape"),
    ],
)
def test_refusals(options: dict, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        connect(Pullback(wavy, dim=2), torch.zeros(2).double(), torch.ones(2).double(), **options)


def test_a_pair_that_few_segments_proved_too_few_for_is_measured_more_strictly() -> None:
    """Of this folded decoder, curves of 64 and 128 segments agreed to 1e-3 and were longer by 1.2e-3 than those of 256."""
    space = Pullback(random_decoder(2, 40, 1014), dim=2)
    z0, z1 = torch.randn(42, 2, generator=torch.Generator().manual_seed(1014), dtype=torch.float64)[3:5]
    rough, exact = connect(space, z0, z1), connect(space, z0, z1, rtol=1e-6)
    assert abs(rough.length / exact.length - 1) <= 1e-3


def test_a_soft_minimum_that_slides_away_is_not_returned() -> None:
    """Of this decoder, a polygon of 64 segments is a minimum where no geodesic is, 1.4 % longer than the one it slides to."""
    space = Pullback(random_decoder(5, 11, 3015), dim=5)
    z0, z1 = torch.randn(42, 5, generator=torch.Generator().manual_seed(3015), dtype=torch.float64)[11:13]
    rough, exact = connect(space, z0, z1), connect(space, z0, z1, rtol=1e-6)
    assert abs(rough.length / exact.length - 1) <= 1e-3
