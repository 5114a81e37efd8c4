"""The contract of the result object: shapes, ends, arc length, velocities, indexing, casting and reversal."""

from typing import Any

import pytest
import torch
from torch import Tensor

from egregium.geodesics import Geodesic, connect
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.twins import random_decoder

DECODER = random_decoder(2, 12, seed=0)
SPACE = Pullback(lambda z: DECODER(z).unflatten(1, (3, 4)), dim=2)
PER_ROW = ("length", "energy", "lower", "upper", "second_best", "status", "segments", "steps", "ok")


def ends(*batch: int) -> tuple[Tensor, Tensor]:
    z0, z1 = torch.randn(2, 6, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    rows = torch.Size(batch).numel()
    return z0[:rows].reshape(*batch, 2), z1[:rows].reshape(*batch, 2)


@pytest.fixture(scope="module")
def g() -> Geodesic:
    return connect(SPACE, *ends(2, 3), rtol=1e-7)


@pytest.mark.parametrize("space", [SPACE, Euclidean(2)], ids=["pullback", "closed form"])
@pytest.mark.parametrize("batch", [(), (1,), (2, 3)])
def test_shapes(space: Pullback | Euclidean, batch: tuple[int, ...]) -> None:
    z0, z1 = ends(*batch)
    g = connect(space, z0, z1)
    assert all(getattr(g, name).shape == batch for name in PER_ROW)
    assert g.initial_velocity.shape == g.final_velocity.shape == (*batch, 2)
    assert g.nodes.shape == (*batch, int(g.segments.max()) + 1, 2)
    assert g(0.3).shape == g(torch.tensor(0.3)).shape == g.velocity(0.3).shape == (*batch, 2)
    t = torch.linspace(0, 1, 5)
    assert g(t).shape == g.velocity(t).shape == (*batch, 5, 2)
    out = (3, 4) if space is SPACE else (2,)
    assert g.decode(0.3).shape == (*batch, *out) and g.decode(t).shape == (*batch, 5, *out)
    assert g.status.dtype == torch.int8 and g.length.dtype == torch.float64
    torch.testing.assert_close(g(0.0), z0, rtol=0, atol=1e-14)
    torch.testing.assert_close(g(1.0), z1, rtol=0, atol=1e-14)


def test_numbers_are_ordered(g: Geodesic) -> None:
    assert (g.lower <= g.length).all() and (g.length <= g.upper).all()
    assert (g.energy >= g.length**2).all()
    torch.testing.assert_close(g.energy, g.length**2, rtol=1e-6, atol=0)
    assert (g.status == Status.CONVERGED).all() and g.ok.all()


def test_time_is_proportional_to_arc_length(g: Geodesic) -> None:
    x = g.decode(torch.linspace(0, 1, 65)).flatten(-2)
    chords = x.diff(dim=-2).norm(dim=-1)
    torch.testing.assert_close(chords / chords.mean(-1, keepdim=True), torch.ones_like(chords), rtol=0, atol=2e-2)
    torch.testing.assert_close(chords.sum(-1), g.length, rtol=2e-3, atol=0)


def test_velocities_have_the_length_for_norm(g: Geodesic) -> None:
    z0, z1 = ends(2, 3)
    torch.testing.assert_close(SPACE.norm(z0, g.initial_velocity), g.length, rtol=1e-9, atol=0)
    torch.testing.assert_close(SPACE.norm(z1, g.final_velocity), g.length, rtol=1e-9, atol=0)
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    speed = SPACE.norm(g(t), g.velocity(t))
    torch.testing.assert_close(speed, g.length[..., None].expand_as(speed), rtol=1e-2, atol=0)
    torch.testing.assert_close(g.velocity(0.0), g.initial_velocity, rtol=0, atol=1e-2)
    torch.testing.assert_close(g.velocity(1.0), g.final_velocity, rtol=0, atol=1e-2)


def test_velocity_is_the_derivative_of_the_curve(g: Geodesic) -> None:
    for t in (0.21, 0.5, 0.83):
        difference = (g(t + 1e-6) - g(t - 1e-6)) / 2e-6
        torch.testing.assert_close(g.velocity(t), difference, rtol=1e-4, atol=1e-4)


def test_the_way_back(g: Geodesic) -> None:
    z0, z1 = ends(2, 3)
    back = connect(SPACE, z1, z0, rtol=1e-7)
    for name in PER_ROW:
        torch.testing.assert_close(getattr(back, name), getattr(g, name), rtol=0, atol=0, equal_nan=True)
    assert torch.equal(back.initial_velocity, -g.final_velocity) and torch.equal(back.final_velocity, -g.initial_velocity)
    t = torch.linspace(0, 1, 9, dtype=torch.float64)
    torch.testing.assert_close(back(1 - t), g(t), rtol=0, atol=1e-13)


@pytest.mark.parametrize("index", [1, -1, (0, 2), (slice(None), 1), slice(1, 2), torch.tensor([[True, False, True]] * 2), ...])
def test_indexing_takes_rows_of_everything(g: Geodesic, index: Any) -> None:
    part = g[index]
    for name in PER_ROW:
        assert torch.equal(getattr(part, name).nan_to_num(), getattr(g, name)[index].nan_to_num())
    t = torch.linspace(0, 1, 5)
    assert torch.equal(part(t), g(t)[index]) and torch.equal(part(0.4), g(0.4)[index])
    torch.testing.assert_close(part.decode(0.4), g.decode(0.4)[index], rtol=0, atol=1e-13)


def test_casting(g: Geodesic) -> None:
    single = g.to(torch.float32)
    assert single.length.dtype == single(0.5).dtype == single.initial_velocity.dtype == torch.float32
    assert (single.status.dtype, single.segments.dtype) == (torch.int8, torch.int32)
    torch.testing.assert_close(single(0.5).double(), g(0.5), rtol=1e-5, atol=1e-5)
    assert g.to("cpu").length.dtype == torch.float64


def test_printed_in_a_line(g: Geodesic) -> None:
    assert repr(g).startswith("Geodesic(batch (2, 3), d = 2, length ") and repr(g).endswith(": 6 CONVERGED)")
    assert len(repr(g)) < 150


def test_results_are_frozen_and_detached(g: Geodesic) -> None:
    with pytest.raises(AttributeError):
        g.length = g.upper  # type: ignore[misc]
    assert not g.length.requires_grad and not g.nodes.requires_grad
