"""Volumes of regions and the flatness test in exact twins, one decoder in several parametrisations (issue 3, acceptance 2)."""

import pytest
import torch

from egregium.relations import flatness
from egregium.relations.ball import measured
from egregium.spaces import Pullback
from egregium.status import Status
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

CASES = [(d, ambient, seed) for d, ambient in ((2, 10), (2, 784), (3, 10), (3, 784)) for seed in range(5)]
RADII = {2: 0.15, 3: 0.04}
PARAMETRISATIONS, CENTRES = 5, 2


@pytest.mark.slow
@pytest.mark.parametrize(("d", "ambient", "seed"), CASES)
def test_volumes_of_balls_agree(d: int, ambient: int, seed: int) -> None:
    decoder = random_decoder(d, ambient, seed)
    z = torch.randn(CENTRES, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    found = [measured(Pullback(decoder, dim=d), z, RADII[d], 3e-7)]
    for k in range(1, PARAMETRISATIONS):
        a = Diffeomorphism(d, seed=100 * seed + k)
        found.append(measured(Pullback(twin(decoder, a), dim=d), a.forward(z), RADII[d], 3e-7))
    values, status = torch.stack([one.value for one in found]), torch.stack([one.status for one in found])
    ok = (status == Status.CONVERGED).all(0)
    apart = ((values.amax(0) - values.amin(0)) / values.mean(0))[ok]
    print(
        f"\nacceptance 2, volume of balls, d = {d}, D = {ambient}, seed {seed}: twins differ by {apart.max():.1e}, "
        f"{int(ok.sum())} of {CENTRES} balls"
    )
    assert ok.any() and (apart <= 1e-6).all()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_flatness_agrees(seed: int) -> None:
    decoder, a = random_decoder(3, 20, seed), Diffeomorphism(3, seed=seed)
    z = torch.randn(12, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    here = flatness(Pullback(decoder, dim=3), z, rtol=1e-7)
    there = flatness(Pullback(twin(decoder, a), dim=3), a.forward(z), rtol=1e-7)
    apart = float((there.bending / here.bending - 1).abs())
    print(f"\nflatness of a decoder, seed {seed}: {here.sentence} Its twin differs by {apart:.1e}")
    assert apart <= 1e-6 and here.flat is there.flat is False
