"""Flat space keeps every law that a space with closed forms can keep."""

import pytest
import torch

from egregium.errors import OptionError, ShapeError
from egregium.protocols import ClosedForm, ImmersedSpace
from egregium.spaces import Euclidean
from egregium.testing.laws import closed_form_breaches, require, space_breaches


@pytest.mark.parametrize("n", [1, 2, 7])
def test_laws(n: int) -> None:
    z = torch.randn(6, n, generator=torch.Generator().manual_seed(n), dtype=torch.float64)
    require(space_breaches(Euclidean(n), z), closed_form_breaches(Euclidean(n), z))


def test_protocols() -> None:
    assert isinstance(Euclidean(2), ClosedForm) and isinstance(Euclidean(2), ImmersedSpace)
    assert (Euclidean(3).dim, Euclidean(3).width) == (3, 3)
    assert Euclidean(3) == Euclidean(3) and Euclidean(3) != Euclidean(2)


def test_immersion_is_the_identity_and_no_alias() -> None:
    z = torch.ones(2, 3)
    x = Euclidean(3).immerse(z)
    x.zero_()
    assert (z == 1).all()
    assert torch.equal(Euclidean(3).embed(z), z) and torch.equal(Euclidean(3).decode(z), z)


def test_refusals() -> None:
    with pytest.raises(OptionError, match="at least 1"):
        Euclidean(0)
    for verb in ("dist", "exp", "log"):
        with pytest.raises(ShapeError, match="nothing is broadcast"):
            getattr(Euclidean(2), verb)(torch.zeros(3, 2), torch.zeros(2))
    with pytest.raises(ShapeError, match="nothing is broadcast"):
        Euclidean(2).transport(torch.zeros(3, 2), torch.zeros(3, 2), torch.zeros(2))
