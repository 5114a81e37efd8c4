"""The published estimator does what was published, which is no length: it grows with the number of points."""

import pytest
import torch

from egregium.errors import OptionError
from egregium.protocols import Relation
from egregium.relations import IndependentDrawLength
from egregium.spaces import Pullback, charts
from egregium.testing.laws import relation_breaches, require
from egregium.testing.twins import random_decoder

MEMBERS = [random_decoder(2, 12, seed=seed) for seed in range(4)]
SPACE = Pullback(MEMBERS, dim=2)
Z0, Z1 = torch.randn(2, 3, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_it_grows_linearly_with_the_number_of_points() -> None:
    few, many = (IndependentDrawLength(n)(SPACE, Z0, Z1).value for n in (64, 256))
    assert ((many / few - 4).abs() < 1).all()


def test_with_equal_members_it_is_a_length() -> None:
    space = Pullback([MEMBERS[0]] * 3, dim=2)
    lengths = IndependentDrawLength(400)(space, Z0, Z1)
    one = IndependentDrawLength(400).along(space, torch.stack([Z0, Z1], 1))
    assert (lengths.value > 0).all() and (one.value > 0).all()
    doubled = IndependentDrawLength(800)(space, Z0, Z1)
    torch.testing.assert_close(doubled.value, lengths.value, rtol=1e-3, atol=0)


def test_draws_are_seeded() -> None:
    first, again = (IndependentDrawLength(32)(SPACE, Z0, Z1).value for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(IndependentDrawLength(32, seed=1)(SPACE, Z0, Z1).value, first)


def test_by_hand() -> None:
    """Two points, two members: one chord between the drawn decoders."""
    relation = IndependentDrawLength(2, seed=3)
    draw = torch.randint(4, (2,), generator=torch.Generator().manual_seed(3))
    x0, x1 = MEMBERS[draw[0]](Z0[:1]), MEMBERS[draw[1]](Z1[:1])
    found = relation.along(SPACE, torch.stack([Z0[:1], Z1[:1]], 1)).value
    torch.testing.assert_close(found, (x1 - x0).norm(dim=-1))


def test_it_is_measured_in_the_units_of_the_chart() -> None:
    scaled = Pullback(MEMBERS, dim=2, chart=charts.Gaussian(sigma=0.1))
    curves = torch.stack([Z0, Z1], 1)
    relation = IndependentDrawLength(2)
    torch.testing.assert_close(relation.along(scaled, curves).value, 10 * relation.along(SPACE, curves).value)


def test_form() -> None:
    relation = IndependentDrawLength(32)
    assert isinstance(relation, Relation) and relation.name == "independent_draw_32" and relation.invariant_under == "none"
    require([b for b in relation_breaches(relation, SPACE, Z0, Z1) if "batch" not in b.law])  # draws run on along the batch
    with pytest.raises(OptionError, match="at least 2 points"):
        IndependentDrawLength(1)
