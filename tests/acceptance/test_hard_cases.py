"""Hard cases: each with the right status, the shorter route found, nothing silent (issue 3, acceptance 4)."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from tests.acceptance.landscapes import LANDSCAPES, folded_decoder
from tests.acceptance.oracle import Grids, Oracle, asked_in
from torch import Tensor, nn

from egregium.errors import DecoderError
from egregium.geodesics import Geodesic, connect
from egregium.identifiability.assumptions import check
from egregium.models import LatentModel
from egregium.relations import conjugate_time, curvature, log, neighbors
from egregium.spaces import Pullback
from egregium.status import Status
from egregium.testing.surfaces import StereographicSphere, SwissRoll
from egregium.testing.twins import Diffeomorphism

LINE = 5e-3  # of the oracle's length: what a CONVERGED pair may differ by


@dataclass(frozen=True)
class Judged:
    """The pairs of one decoder by `connect` at its defaults and by the oracle, all `(P,)`."""

    g: Geodesic
    oracle: Oracle

    @property
    def excess(self) -> np.ndarray:
        return self.g.length.numpy() / self.oracle.distance.ravel() - 1

    @property
    def comparable(self) -> np.ndarray:
        return self.g.ok.numpy() & self.oracle.ok.ravel()

    @property
    def wrong(self) -> int:
        return int((np.abs(self.excess[self.comparable]) > LINE).sum())

    def __str__(self) -> str:
        found = self.excess[self.comparable]
        span = f"from {found.min():+.1e} to {found.max():+.1e}" if len(found) else "none"
        return (
            f"{len(self.g.ok)} pairs, {int(self.g.ok.sum())} CONVERGED, of these oracle refined for {len(found)}; "
            f"length beside the oracle's {span}; {self.wrong} off by more than {LINE:.1%}"
        )


def judged(decode: Callable[[Tensor], Tensor], sources: Tensor, targets: Tensor, *rounds: Grids) -> Judged:
    """From S sources `(S, 2)` to targets `(S, K, 2)`; what the oracle does not know in one round it is asked in the next."""
    start = sources[:, None].expand_as(targets).reshape(-1, 2)
    g = connect(Pullback(decode, dim=2), start, targets.reshape(-1, 2), on_fail="mark")
    return Judged(g, asked_in(rounds, decode, sources.numpy(), targets.numpy()))


def across(count: int) -> tuple[Tensor, Tensor]:
    """Ends on either side of the hills."""
    sources = torch.tensor([[-1.5, 0.0], [-1.4, 0.35]], dtype=torch.float64)
    heights = torch.linspace(-0.8, 0.8, count, dtype=torch.float64)
    return sources, torch.stack([torch.full_like(heights, 1.5), heights], -1).expand(2, -1, -1)


def normal(seed: int, sources: int, targets: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return (
        torch.randn(sources, 2, generator=generator, dtype=torch.float64),
        torch.randn(sources, targets, 2, generator=generator, dtype=torch.float64),
    )


@pytest.mark.parametrize("name", ["off centre", "deceiving"])
def test_two_ways_round_a_hill(name: str) -> None:
    """20 pairs."""
    found = judged(LANDSCAPES[name], *across(5), (64, 128, 0.8))
    print(f"\nacceptance 4, hills {name}: {found}")
    assert found.g.ok.all() and found.comparable.mean() >= 0.5
    assert found.wrong == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", LANDSCAPES)
def test_acceptance_4_hills(name: str) -> None:
    """100 pairs."""
    found = judged(LANDSCAPES[name], *across(10), (80, 640, 1.0))
    print(f"\nacceptance 4, hills {name}: {found}", flush=True)
    assert found.g.ok.all() and found.comparable.all()
    assert found.wrong == 0


@pytest.mark.slow
@pytest.mark.parametrize("factor", [1.0, 1.7])
@pytest.mark.parametrize("seed", range(9))
def test_acceptance_4_folded_decoders(seed: int, factor: float) -> None:
    """360 pairs of standard normal points; of 1.7 the first layer is scaled up."""
    found = judged(
        folded_decoder(10, seed, factor), *normal(1000 + seed, 2, 10), (160, 640, 1.0), (320, 1280, 2.0), (480, 1920, 1.0)
    )
    print(f"\nacceptance 4, decoder {seed} folded {factor}: {found}", flush=True)
    assert found.g.ok.all() and found.comparable.all()
    assert found.wrong == 0


def test_minima_that_lie_close_together() -> None:
    """Polygons of 16 segments lead to minima that are longer by 0.9 % and 0.8 %."""
    sources, targets = normal(1005, 2, 10)
    start, end = sources[1:].expand(2, -1), targets[1, [0, 4]]
    space = Pullback(folded_decoder(10, 5, 1.7), dim=2)
    thorough = connect(space, start, end, rtol=1e-7)
    torch.testing.assert_close(connect(space, start, end).length, thorough.length, rtol=1e-3, atol=0)


@pytest.mark.slow
def test_acceptance_4_swiss_roll() -> None:
    """40 pairs."""
    roll, generator = SwissRoll(), torch.Generator().manual_seed(0)
    targets = roll.sample(40, generator).reshape(2, 20, 2)
    found = judged(roll.decode, roll.sample(2, generator), targets, (48, 192, 0.5), (96, 384, 1.0))
    print(f"\nacceptance 4, Swiss roll: {found}")
    assert found.g.ok.all() and found.comparable.all()
    assert found.wrong == 0


def plane(z: Tensor) -> Tensor:
    return torch.cat([z, 0 * z[:, :1]], -1)


def ring() -> tuple[Pullback, Tensor]:
    angle = torch.linspace(0, 2 * torch.pi, 121, dtype=torch.float64)[:-1]
    circles = [r * torch.stack([angle.cos(), angle.sin()], -1) for r in (0.9, 1.0, 1.1)]
    return Pullback(plane, dim=2), torch.cat(circles)


@pytest.mark.parametrize(("radius", "status"), [(None, Status.CONVERGED), (0.3, Status.OUT_OF_SUPPORT)])
def test_a_hole_in_the_support(radius: float | None, status: Status) -> None:
    """The shortest curve crosses the hole: right where nothing was said of the space between data, else told."""
    space, points = ring()
    support = neighbors(space, points, k=6, radius=radius)
    ends = torch.tensor([[-1.0, 0.0]]).double(), torch.tensor([[0.8, 0.6]]).double()
    g = connect(space, *ends, support=support, on_fail="mark")
    assert g.status.tolist() == [status]
    assert g.length.item() == pytest.approx((ends[1] - ends[0]).norm().item(), rel=1e-3)


def test_islands_of_data() -> None:
    generator = torch.Generator().manual_seed(0)
    island = torch.randn(30, 2, generator=generator, dtype=torch.float64)
    space, shift = Pullback(plane, dim=2), torch.tensor([50.0, 0.0]).double()
    support = neighbors(space, torch.cat([island, island + shift]), k=5)
    g = connect(space, island[:2], torch.stack([island[5], island[1] + shift]), support=support, on_fail="mark")
    assert g.status.tolist() == [Status.CONVERGED, Status.DISCONNECTED]


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_a_condition_of_a_million(dtype: torch.dtype) -> None:
    """Obliquely, so that no scaling of the axes mends it: right, or told, in single precision too."""
    turn = torch.linalg.qr(torch.randn(2, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)).Q
    matrix = turn @ torch.diag(torch.tensor([1.0, 1e-6], dtype=torch.float64)) @ turn.mT

    def roll(z: Tensor) -> Tensor:
        y = z @ matrix.to(z)
        return torch.stack([y[:, 0].cos(), y[:, 0].sin(), y[:, 1]], -1)

    z0, z1 = torch.randn(2, 20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    g = connect(Pullback(roll, dim=2), z0.to(dtype), z1.to(dtype), on_fail="mark")
    wrong = (g.length.double() / ((z1 - z0) @ matrix).norm(dim=-1) - 1).abs()
    degenerate = g.status == Status.DEGENERATE
    print(f"\nacceptance 4, condition 1e6, {dtype}: {int(g.ok.sum())} CONVERGED, {int(degenerate.sum())} DEGENERATE")
    assert (g.ok | degenerate).all()
    assert not g.ok.any() or wrong[g.ok].max() <= LINE
    if dtype is torch.float64:
        assert g.ok.all()


def test_a_conjugate_point_between_the_ends() -> None:
    """The long way round the sphere passes the antipode: left, where it is the start too, for the short one."""
    surface = StereographicSphere()
    space = Pullback(surface.decode, dim=2)
    z0, z1 = torch.tensor([[1.0, 0.0]]).double(), torch.tensor([[0.6, 0.8]]).double()
    angle = torch.linspace(0, torch.atan2(z1[0, 1], z1[0, 0]).item() - 2 * torch.pi, 65, dtype=torch.float64)
    long_way = torch.stack([angle.cos(), angle.sin()], -1)[None]
    v = 2 * torch.pi * torch.tensor([[0.0, -1.0]]).double() / space.norm(z0, torch.tensor([[0.0, 1.0]]).double())
    assert conjugate_time(space, z0, 0.9 * v).item() == pytest.approx(1 / 1.8, rel=1e-5)
    for g in (connect(space, z0, z1), connect(space, z0, z1, starts=long_way, on_fail="mark")):
        shorter = g.length / surface.distance(z0, z1) - 1
        assert g.status.item() == Status.SADDLE or (g.ok and shorter.abs().item() <= LINE)


def kinked() -> nn.Sequential:
    generator = torch.Generator().manual_seed(0)
    layers = nn.Sequential(nn.Linear(2, 24), nn.ReLU(), nn.Linear(24, 10)).double().requires_grad_(False)
    for parameter in layers.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / parameter.shape[-1] ** 0.5)
    return layers


def test_a_relu_decoder() -> None:
    """Lengths right where CONVERGED, curvature refused, and `check` says why."""
    decoder = kinked()
    space, (z0, z1) = Pullback(decoder, dim=2), torch.randn(2, 20, 2, generator=torch.Generator().manual_seed(1)).double()
    g = connect(space, z0, z1, on_fail="mark")
    assert set(g.status.tolist()) <= {Status.CONVERGED, Status.STALLED, Status.MAX_STEPS}
    t = torch.linspace(0, 1, 4001, dtype=torch.float64)
    polygon = space.ambient(g(t)).diff(dim=1).norm(dim=-1).sum(-1)
    assert (polygon / g.length - 1).abs()[g.ok].max() <= LINE
    line = space.ambient(z0[:, None] + t[:, None] * (z1 - z0)[:, None]).diff(dim=1).norm(dim=-1).sum(-1)
    assert (g.length <= (1 + LINE) * line)[g.ok].all()
    with pytest.raises(DecoderError, match="kinks"):
        curvature.scalar(space, z0)
    said = check(LatentModel(nn.Linear(10, 2).double(), decoder), decoder(z0))
    assert said["smooth"].holds is False


def test_logarithms_of_a_relu_decoder_are_as_long_as_the_distance_or_nan() -> None:
    """Of these six pairs two close."""
    ends = torch.randn(2, 20, 2, generator=torch.Generator().manual_seed(1)).double()
    space, (z0, z1) = Pullback(kinked(), dim=2), ends[:, :6]
    g, v = connect(space, z0, z1, on_fail="mark"), log(space, z0, z1, on_fail="mark")
    closed = torch.isfinite(v).all(-1)
    assert closed.any() and (space.norm(z0[closed], v[closed]) / g.length[closed] - 1).abs().max() <= LINE


DIFFEOMORPHISM = Diffeomorphism(2, seed=0)


def test_as_many_outputs_as_codes() -> None:
    """d = D: the pullback is flat, and distances are those of the images, which fill the plane."""
    space = Pullback(DIFFEOMORPHISM.forward, dim=2)
    z0, z1 = torch.randn(2, 20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    g = connect(space, z0, z1, on_fail="mark")
    wrong = (g.length / (DIFFEOMORPHISM.forward(z1) - DIFFEOMORPHISM.forward(z0)).norm(dim=-1) - 1).abs()
    print(f"\nacceptance 4, d = D: {g}; lengths off by at most {wrong.max():.1e}")
    assert wrong.max() <= 1e-3
    assert curvature.scalar(space, z0).abs().max() <= 1e-9


def test_flat_geodesics_of_as_many_outputs_as_codes_converge() -> None:
    z0, z1 = torch.randn(2, 20, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert connect(Pullback(DIFFEOMORPHISM.forward, dim=2), z0, z1, on_fail="mark").ok.all()
