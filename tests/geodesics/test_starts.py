"""Where curves start: which of several is first, and how many segments it takes to follow it."""

import pytest
import torch

from egregium.geodesics.problem import Problem
from egregium.geodesics.starts import BEND, CLOSEST, RESOLVED, along_chord, bent, followed, given, ranked
from egregium.spaces import Pullback
from egregium.testing.twins import random_decoder


def wavy(folds: float) -> Problem:
    """Two unit pairs along a surface that goes up and down `folds` times."""
    decode = lambda z: torch.stack([z[:, 0], (2 * torch.pi * folds * z[:, 0]).sin() / 2, z[:, 1]], -1)  # noqa: E731
    z0, z1 = torch.tensor([[0.0, 0.0], [0.0, 1.0]]).double(), torch.tensor([[1.0, 0.0], [1.0, 0.0]]).double()
    return Problem.between(Pullback(decode, dim=2), z0, z1)


def lines(problem: Problem) -> torch.Tensor:
    return problem.nodes(problem.straight(RESOLVED))


@pytest.mark.parametrize(("folds", "segments"), [(0.0, 8), (0.25, 8), (1.2, 16), (6.0, 32)])
def test_the_more_a_start_is_folded_the_more_segments_it_needs(folds: float, segments: int) -> None:
    problem = wavy(folds)
    assert ranked(problem, [lines(problem)]).segments.tolist() == [segments] * 2


def test_a_solver_has_its_own_segments() -> None:
    problem = wavy(4.0)
    assert ranked(problem, [lines(problem)]).followed_with(10).segments.tolist() == [10] * 2


def test_shorter_starts_come_first_but_users_keep_their_order() -> None:
    problem = wavy(0.0)
    detour = lines(problem) + torch.tensor([0.0, 1.0]) * torch.linspace(0, torch.pi, RESOLVED + 1).sin()[None, :, None]
    for curves in ([detour, lines(problem)], [lines(problem), detour]):
        ordered, kept = ranked(problem, curves), followed(curves, torch.full((2,), 32))
        torch.testing.assert_close(ordered.curves[0], lines(problem), rtol=0, atol=1e-12)
        assert torch.equal(kept.curves[0], curves[0])


def test_a_start_that_leaves_the_domain_comes_last() -> None:
    problem = wavy(0.0)
    lost = lines(problem).index_fill(1, torch.tensor([5]), torch.nan)
    first = ranked(problem, [lost, lines(problem)]).curves[0]
    torch.testing.assert_close(first, lines(problem), rtol=0, atol=1e-12)


def test_nodes_lie_at_equal_decoded_distances() -> None:
    decode = lambda z: torch.stack([z[:, 0].exp(), z[:, 1]], -1)  # noqa: E731
    z0, z1 = torch.tensor([[0.0, 0.0]]).double(), torch.tensor([[3.0, 0.0]]).double()
    problem = Problem.between(Pullback(decode, dim=2), z0, z1)
    chords = decode(ranked(problem, [lines(problem)]).curves[0][0])[:, 0].diff()
    assert chords.max() < 1.1 * chords.min()


@pytest.mark.parametrize("segments", [5, 8, 32, 40, 64])
def test_starts_are_sampled_at_any_number_of_segments(segments: int) -> None:
    problem = wavy(0.0)
    candidates = ranked(problem, [lines(problem)])
    (vertices,) = candidates.vertices(segments)
    torch.testing.assert_close(vertices, problem.straight(segments), rtol=0, atol=1e-12)


def test_a_users_curve_is_followed_with_the_segments_that_it_has() -> None:
    curve = torch.zeros(4, 101, 2)
    candidates = followed([curve], torch.tensor([8, 33, 100, 5000]))
    assert candidates.segments.tolist() == [RESOLVED, 64, 128, CLOSEST]
    assert [candidates.vertices(int(n))[0].shape[1] for n in candidates.segments] == [31, 63, 127, 255]


def test_given_curves_may_have_any_number_of_nodes() -> None:
    bent = torch.tensor([[[0.0, 0.0], [0.5, 1.0], [1.0, 0.0]]]).double()
    curve = given(bent)
    assert curve.shape == (1, RESOLVED + 1, 2)
    torch.testing.assert_close(curve[0, RESOLVED // 2], bent[0, 1])


def test_the_walk_along_the_chord_keeps_near_it() -> None:
    """On a mildly curved surface its images lie nearer the chord than those of the latent line."""
    z0, z1 = torch.randn(2, 30, 2, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    problem = Problem.between(Pullback(random_decoder(2, 12, 0), dim=2), z0, z1)
    t = torch.linspace(0, 1, RESOLVED + 1, dtype=torch.float64)[None, :, None]
    chord = torch.lerp(problem.x0[:, None], problem.x1[:, None], t)

    def apart(curve: torch.Tensor) -> torch.Tensor:
        x = problem.immerse(curve.flatten(0, 1)).unflatten(0, (30, -1))
        return torch.cdist(x, chord).amin(-1).amax(-1)

    assert (apart(along_chord(problem)) < apart(lines(problem))).double().mean() > 0.7


@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_line_is_bent_to_both_sides_along_each_normal_direction(d: int) -> None:
    z0, z1 = torch.randn(2, 3, d, generator=torch.Generator().manual_seed(d), dtype=torch.float64)
    problem = Problem.between(Pullback(random_decoder(d, 12, 0), dim=d), z0, z1)
    starts = bent(problem, 8)
    assert len(starts) == 2 * (d - 1)
    if starts:
        heights = torch.stack([start[:, 3] for start in starts], 1) - 0.5 * (z0 + z1)[:, None]
        jacobian = torch.func.vmap(torch.func.jacrev(lambda z: problem.immerse(z[None])[0]))(0.5 * (z0 + z1))
        raised = torch.einsum("pad,pkd->pka", jacobian, heights)
        along = torch.einsum("pad,pd->pa", jacobian, z1 - z0)
        torch.testing.assert_close(heights[:, ::2], -heights[:, 1::2])
        cosine = torch.einsum("pka,pa->pk", raised, along) / raised.norm(dim=-1) / along.norm(dim=-1)[:, None]
        assert cosine.abs().max() < 0.02
        torch.testing.assert_close(
            raised.norm(dim=-1), (BEND * problem.chord)[:, None].expand(3, len(starts)), rtol=0.15, atol=0
        )
