"""Lines through 0: found whatever their order and length, told from clouds, and refused in words."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from egregium.causal.lines import find_lines
from egregium.errors import ModelError


def on_lines(n: int, ambient: int, number: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Vectors on n random lines, which line each is on (-1: the zero vector), and the unit directions."""
    generator = torch.Generator().manual_seed(seed)
    directions = torch.randn(ambient, n, generator=generator, dtype=torch.float64)
    directions = directions / directions.norm(dim=0)
    line = torch.arange(number) % (n + 1) - 1
    size = torch.randn(number, generator=generator, dtype=torch.float64)
    return torch.where(line[:, None] < 0, 0, size[:, None] * directions.T[line]), line, directions


@given(st.integers(1, 6), st.integers(0, 20), st.integers(0, 10**6))
def test_lines_are_found_with_all_on_them(n: int, more: int, seed: int) -> None:
    vectors, line, directions = on_lines(n, n + more, 60, seed)
    found = find_lines(vectors, torch.full((60,), 1e-12, dtype=torch.float64))
    assert found.n == n
    cosines = (directions.T @ found.directions).abs()
    name = cosines.argmax(1)
    torch.testing.assert_close(cosines.amax(1), torch.ones(n, dtype=torch.float64), rtol=0, atol=1e-12)
    assert torch.equal(torch.where(line < 0, -1, name[line.clamp_min(0)]), found.line)


def test_vectors_within_their_error_are_none() -> None:
    vectors, _, _ = on_lines(2, 3, 30, 0)
    found = find_lines(vectors + 1e-6, torch.full((30,), 1e-4, dtype=torch.float64))
    assert found.n == 2 and int((found.line < 0).sum()) >= 10


def test_noise_within_the_error_does_not_break_a_line() -> None:
    vectors, line, _ = on_lines(3, 5, 400, 1)
    noise = 1e-5 * torch.randn(vectors.shape, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = find_lines(vectors + noise, torch.full((400,), 1e-4, dtype=torch.float64))
    assert found.n == 3 and int((found.line < 0).sum()) == pytest.approx(int((line < 0).sum()), abs=3)


def test_a_cloud_is_refused() -> None:
    cloud = torch.randn(500, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    with pytest.raises(ModelError, match="do not lie on lines"):
        find_lines(cloud, torch.full((500,), 1e-10, dtype=torch.float64))


def test_more_lines_than_dimensions_are_refused() -> None:
    vectors, _, _ = on_lines(3, 2, 90, 0)
    with pytest.raises(ModelError, match="do not lie on 2 lines"):
        find_lines(vectors, torch.full((90,), 1e-10, dtype=torch.float64))


def test_dependent_lines_are_refused() -> None:
    vectors, _, _ = on_lines(3, 2, 90, 0)
    flat = torch.cat([vectors, torch.zeros(90, 1, dtype=torch.float64)], 1)
    with pytest.raises(ModelError, match="not independent"):
        find_lines(flat, torch.full((90,), 1e-10, dtype=torch.float64))


@pytest.mark.parametrize("n", [1, 3])
def test_another_number_than_expected_is_refused(n: int) -> None:
    vectors, _, _ = on_lines(2, 4, 60, 0)
    with pytest.raises(ModelError, match=f"{n} "):
        find_lines(vectors, torch.full((60,), 1e-10, dtype=torch.float64), n)


def test_no_difference_at_all_is_refused() -> None:
    with pytest.raises(ModelError, match="lie on 0 lines"):
        find_lines(torch.zeros(9, 2, dtype=torch.float64), torch.full((9,), 1e-10, dtype=torch.float64))
