"""The energy of polygons on a tabulated metric: its derivatives, and what relaxing it leads to."""

import torch
from torch import Tensor

from egregium.geodesics.lattice import Lattice
from egregium.geodesics.metric_energy import end_momenta, quadratic, relax
from egregium.geodesics.metric_table import MetricTable
from egregium.testing.surfaces import StereographicSphere
from egregium.testing.twins import random_decoder

SPHERE = StereographicSphere()
EXTENT = torch.full((1,), 0.8, dtype=torch.float64)


def polygon(z0: Tensor, z1: Tensor, segments: int) -> Tensor:
    t = torch.linspace(0, 1, segments + 1, dtype=z0.dtype)[None, :, None]
    return torch.lerp(z0[:, None], z1[:, None], t)


def test_gradient_and_hessian_are_those_of_the_energy() -> None:
    noise = 0.1 * torch.randn(1, 5, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    nodes = polygon(torch.zeros(1, 2).double(), torch.ones(1, 2).double(), 4) + noise
    table, h = MetricTable(random_decoder(2, 10, 0), 1e-6, nodes), 1e-5
    here = quadratic(table, nodes, EXTENT)
    for vertex in range(3):
        for axis in range(2):
            step = torch.zeros_like(nodes)
            step[0, vertex + 1, axis] = h
            up, down = quadratic(table, nodes + step, EXTENT), quadratic(table, nodes - step, EXTENT)
            slope = (up.energy - down.energy) / (2 * h)
            torch.testing.assert_close(here.gradient[0, vertex, axis], slope[0], rtol=1e-6, atol=1e-5)
            bend = (up.gradient - down.gradient)[0] / (2 * h)
            unit = step[:, 1:-1] / h
            torch.testing.assert_close(here.hessian.matvec(unit)[0], bend, rtol=1e-5, atol=1e-4)


def test_relaxed_polygons_are_geodesics_of_the_sphere() -> None:
    points = SPHERE.sample(40, torch.Generator().manual_seed(0))
    z0, z1 = points.chunk(2)
    extent, table = EXTENT.expand(20), MetricTable(SPHERE.decode, 1e-6, points)
    exact, found = SPHERE.distance(z0, z1), []
    for segments in (16, 32):
        relaxed = relax(table, polygon(z0, z1, segments), extent, 1e-8)
        assert relaxed.settled.all()
        found.append(relaxed)
    error = [relaxed.energy.sqrt() / exact - 1 for relaxed in found]
    assert (error[0].abs() < 2e-2).all()
    torch.testing.assert_close(error[1], error[0] / 4, rtol=0.15, atol=1e-6)  # of second order in 1 / T
    momenta = end_momenta(table, found[1].nodes, extent)
    speed = torch.einsum("pea,peab,peb->pe", momenta, torch.linalg.inv(_metric(found[1].nodes[:, [0, -1]])), momenta).sqrt()
    torch.testing.assert_close(speed, exact[:, None].expand(-1, 2), rtol=5e-3, atol=0)


def test_a_line_over_a_hill_is_no_minimum() -> None:
    def hill(z: Tensor) -> Tensor:
        return torch.cat([z, 3 * torch.exp(-4 * (z**2).sum(-1, keepdim=True))], -1)

    z0, z1 = torch.tensor([[-1.0, 0.0]]).double(), torch.tensor([[1.0, 0.0]]).double()
    table = MetricTable(hill, 1e-4, z0)
    over = quadratic(table, polygon(z0, z1, 32), EXTENT)
    assert not over.hessian.solve(over.gradient)[1]
    lattice = Lattice.about(table, z0, z1, torch.eye(2, dtype=torch.float64)[None], EXTENT, 12)
    path, walked = lattice.shortest()
    start = lattice.curves(path, walked, 32)
    around = relax(table, start, EXTENT, 1e-6)
    assert around.settled and around.energy < 0.5 * over.energy
    assert walked[:, -1] < 1.1 * around.energy.sqrt()
    assert (start[:, 0] == z0).all() and (start[:, -1] == z1).all()
    other, longer = lattice.avoiding(path).shortest()
    opposite = relax(table, lattice.curves(other, longer, 32), EXTENT, 1e-6)
    assert walked[:, -1] <= longer[:, -1] and opposite.settled
    assert opposite.nodes[0, 16, 1].sign() == -around.nodes[0, 16, 1].sign()


def test_polygons_off_the_table_are_not_ok() -> None:
    z0, z1 = torch.tensor([[-1.0, 0.0]]).double(), torch.tensor([[1.0, 0.1]]).double()
    table = MetricTable(lambda z: torch.cat([z, 0.1 * (300 * z).sin()], -1), 1e-4, z0)
    found = relax(table, polygon(z0, z1, 8), EXTENT, 1e-6)
    assert not found.ok and not found.settled


def _metric(z: Tensor) -> Tensor:
    scale = 4 / (1 + (z**2).sum(-1)) ** 2
    return scale[..., None, None] * torch.eye(2, dtype=z.dtype)
