"""Distances of latent coordinates: whitening and alignment do what they say."""

import pytest
import torch

from egregium.errors import ShapeError
from egregium.protocols import Relation
from egregium.relations import LatentDistance
from egregium.relations.latent import aligning, whitening
from egregium.spaces import Euclidean

Z = torch.randn(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64) @ torch.tensor(
    [[2.0, 0.3, 0.0], [0.0, 0.5, 0.1], [0.0, 0.0, 1.5]], dtype=torch.float64
)
IDENTITY = torch.eye(3, dtype=torch.float64)


def test_raw_distances() -> None:
    relation = LatentDistance("euclidean", IDENTITY)
    assert isinstance(relation, Relation)
    found = relation(Euclidean(3), Z[:5], Z[5:10])
    assert torch.equal(found.value, (Z[5:10] - Z[:5]).norm(dim=-1)) and (found.status == 0).all()
    assert torch.equal(found.lower, found.value) and torch.equal(found.upper, found.value)


def test_whitened_coordinates_have_unit_covariance() -> None:
    torch.testing.assert_close((Z @ whitening(Z).mT).mT.cov(), IDENTITY, rtol=1e-9, atol=1e-9)


def test_whitened_distances_are_invariant_under_affine_maps() -> None:
    matrix = torch.tensor([[1.0, 2.0, 0.0], [0.0, -1.0, 0.5], [0.3, 0.0, 3.0]], dtype=torch.float64)
    moved = Z @ matrix.mT + 7
    here, there = (LatentDistance("whitened", whitening(z))(Euclidean(3), z[:9], z[9:18]).value for z in (Z, moved))
    torch.testing.assert_close(here, there, rtol=1e-8, atol=0)


def test_collapsed_coordinates_are_whitened_without_infinities() -> None:
    flat = Z.clone()
    flat[:, 1] = 0
    assert torch.isfinite(whitening(flat)).all()


def test_alignment_undoes_affine_maps() -> None:
    matrix = torch.tensor([[1.0, 2.0, 0.0], [0.0, -1.0, 0.5], [0.3, 0.0, 3.0]], dtype=torch.float64)
    w = aligning(Z @ matrix.mT + 7, Z)
    torch.testing.assert_close(w @ matrix, IDENTITY, rtol=1e-9, atol=1e-9)
    assert aligning(Z, Z[:, :2]).shape == (2, 3)


def test_refusals() -> None:
    with pytest.raises(ShapeError, match="points of whitened must have shape"):
        LatentDistance("whitened", torch.eye(2))(Euclidean(3), Z[:2], Z[2:4])
    with pytest.raises(ShapeError, match="nothing is broadcast"):
        LatentDistance("euclidean", IDENTITY)(Euclidean(3), Z[:2], Z[:1])
