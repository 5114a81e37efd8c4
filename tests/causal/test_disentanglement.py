"""DCI: near 1 on the truth, near 0 on rotations, from an importance matrix that means what it says."""

import pytest
import torch

from egregium.causal import dci
from egregium.causal.disentanglement import _concentration
from egregium.errors import OptionError, ShapeError, TensorError

Z = torch.randn(3000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("wide", [False, True])
def test_the_truth_is_near_its_ceiling(pairs, wide: bool) -> None:
    """0.998 with 5,000 rows; with 1,500 the trees are a little worse."""
    z = pairs(number=3000).z
    found = dci(z, torch.stack([-z[:, 2].sinh() if wide else z[:, 2], z[:, 0] ** 3, z[:, 1].exp()], 1))
    assert found.disentanglement > 0.998 and found.completeness > 0.998 and found.informativeness > 0.99
    assert found.importance.argmax(0).tolist() == [1, 2, 0]


def test_mixtures_are_entangled() -> None:
    turn = torch.tensor([[1.0, 1, 1], [1, -1, 1], [1, 1, -2]], dtype=torch.float64)
    assert dci(Z, Z @ turn).disentanglement < 0.5


def test_one_that_tells_of_two_is_entangled_though_both_are_complete() -> None:
    """Rows of importance (1/3, 1/3, 0), (0, 0, 1/3) have D = 2/3 (1 - log_3 2) + 1/3 = 0.58, less what is fitted to noise."""
    other = torch.randn(len(Z), generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    found = dci(Z, torch.stack([Z[:, 0] + Z[:, 1], Z[:, 2], other], 1))
    assert found.disentanglement == pytest.approx(0.58, abs=0.1)
    assert found.completeness > 0.75


def test_what_is_not_told_is_not_informed() -> None:
    generator = torch.Generator().manual_seed(1)
    found = dci(Z, torch.randn(Z.shape, generator=generator, dtype=torch.float64))
    assert found.informativeness < 0.1


def test_the_importance_matrix_sums_to_one_and_columns_weigh_alike() -> None:
    importance = dci(Z, Z.flip(1)).importance
    torch.testing.assert_close(importance.sum(0), torch.full((3,), 1 / 3, dtype=torch.float64))


def test_concentration() -> None:
    eye = torch.eye(3, dtype=torch.float64) / 3
    assert _concentration(eye) == pytest.approx(1)
    assert _concentration(torch.full((3, 3), 1 / 9, dtype=torch.float64)) == pytest.approx(0)
    idle = torch.tensor([[0.5, 0, 0], [0, 0.5, 0], [0, 0, 0]], dtype=torch.float64)
    assert _concentration(idle) == pytest.approx(1)  # what tells nothing has no weight


def test_it_repeats_and_does_not_depend_on_rows_beyond() -> None:
    here, there = dci(Z, Z.exp(), training=500, test=400), dci(Z[:900], Z[:900].exp())
    assert torch.equal(here.importance, there.importance) and here.informativeness == there.informativeness


def test_bad_input() -> None:
    with pytest.raises(ShapeError):
        dci(Z, Z[:, :2])
    with pytest.raises(TensorError, match="at least 200 rows"):
        dci(Z[:100], Z[:100])
    with pytest.raises(TensorError, match="constant"):
        dci(Z, Z * 0)
    with pytest.raises(TensorError, match="NaN"):
        dci(Z, Z.log())
    with pytest.raises(OptionError, match="two variables"):
        dci(Z[:, :1], Z[:, :1])
    with pytest.raises(OptionError, match="training"):
        dci(Z, Z, training=0)
    with pytest.raises(OptionError, match="a ratio nearer to 1"):
        dci(Z, Z, training=5000, test=10**9)
