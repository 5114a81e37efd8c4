"""Optimisers on spaces: points stay there, steps do not depend on coordinates, flat space has the steps that are known."""

from typing import Any

import pytest
import torch
from torch import Tensor

import egregium as eg
from egregium.errors import OptionError, ShapeError, TensorError
from egregium.models import RiemannianAdam, RiemannianSGD
from egregium.spaces import ConstantCurvature, Euclidean, Explicit, Hyperbolic, Product, Scaled, Sphere, Torus

SPACES = [Sphere(2), Product(Scaled(Sphere(3), 2.0), Hyperbolic(2), Torus(1), Euclidean(1))]
KINDS = [(RiemannianSGD, {"lr": 0.1}), (RiemannianSGD, {"lr": 0.05, "momentum": 0.8}), (RiemannianAdam, {"lr": 0.05})]


def followed(space: Explicit, start: Tensor, goals: Tensor, kind: Any, options: dict[str, Any], count: int) -> Tensor:
    """Points after steps towards the mean of their goals `(K, N, width)`."""
    z = start.clone().requires_grad_()
    steps = kind([{"params": [z], "space": space}], **options)
    for _ in range(count):
        steps.zero_grad()
        space.dist(z.expand_as(goals), goals).square().mean(0).sum().mul(0.5).backward()
        steps.step()
    return z.detach()


@pytest.mark.parametrize(("kind", "options"), KINDS)
@pytest.mark.parametrize("space", SPACES, ids=repr)
def test_points_find_their_mean_and_stay_on_the_space(space: Explicit, kind: Any, options: dict[str, Any]) -> None:
    draws = torch.Generator().manual_seed(0)
    start = space.random(4, generator=draws, dtype=torch.float64)
    near = 0.3 * torch.randn(3, 4, space.dim, generator=draws, dtype=torch.float64)
    goals = space.exp(start.expand(3, -1, -1), (space.frame(start.expand(3, -1, -1)) @ near[..., None])[..., 0])
    found = followed(space, start, goals, kind, options, 100)
    space.require_inside(found)
    mean = eg.mean(space, goals[:, 0]).point
    assert float(space.dist(found[0], mean)) < 0.02  # of distances of 0.3: steps of 0.05 do not settle much closer


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_steps_do_not_depend_on_coordinates(kind: Any, options: dict[str, Any]) -> None:
    """A rotation of the sphere carries paths to paths."""
    sphere, draws = Sphere(2), torch.Generator().manual_seed(0)
    start = sphere.random(4, generator=draws, dtype=torch.float64)
    goals = sphere.random(2, 4, generator=draws, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=draws, dtype=torch.float64)).Q
    path = followed(sphere, start, goals, kind, options, 10)
    turned = followed(sphere, start @ turn, goals @ turn, kind, options, 10)
    torch.testing.assert_close(turned, path @ turn, rtol=0, atol=1e-10)


@pytest.mark.parametrize("space", [None, Euclidean(3)], ids=repr)
def test_in_flat_space_they_are_those_of_torch(space: Explicit | None) -> None:
    pairs = [
        (lambda p: RiemannianAdam([{"params": [p], "space": space}], lr=0.1), lambda p: torch.optim.Adam([p], lr=0.1)),
        (lambda p: RiemannianSGD([{"params": [p], "space": space}], lr=0.1, momentum=0.5),
         lambda p: torch.optim.SGD([p], lr=0.1, momentum=0.5)),
    ]  # fmt: skip
    for ours, theirs in pairs:
        found = []
        for made in (ours, theirs):
            z = torch.tensor([[1.0, -2.0, 0.5]]).double().requires_grad_()
            steps = made(z)
            for _ in range(20):
                steps.zero_grad()
                (z.cos() * torch.tensor([1.0, 5.0, 0.1])).sum().backward()
                steps.step()
            found.append(z.detach())
        torch.testing.assert_close(*found, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("true", [2.0, -1.5])
def test_curvature_and_points_together(true: float) -> None:
    """Distances of a space say its curvature: a number and points in one optimiser, from flat space."""
    draws = torch.Generator().manual_seed(2)
    places = 0.5 * torch.randn(8, 2, generator=draws, dtype=torch.float64)
    i, j = torch.triu_indices(8, 8, 1)
    wanted = ConstantCurvature(2, true).dist(places[i], places[j])
    curvature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    space, z = ConstantCurvature(2, curvature), places.clone().requires_grad_()
    steps = RiemannianAdam([{"params": [z], "space": space, "lr": 0.01}, {"params": [curvature]}], lr=0.1)
    for _ in range(120):
        steps.zero_grad()
        (space.dist(z[i], z[j]) - wanted).square().mean().backward()
        steps.step()
    assert curvature.item() == pytest.approx(true, rel=0.1)


def test_closures_and_parameters_without_gradient() -> None:
    z, idle = torch.tensor([[1.0, 0.0, 0.0]], requires_grad=True), torch.tensor([[0.0, 1.0, 0.0]], requires_grad=True)
    steps = RiemannianSGD([{"params": [z, idle], "space": Sphere(2)}], lr=0.1)

    def closure() -> float:
        steps.zero_grad()
        loss = z[0, 1].square() + z[0, 0]
        loss.backward()
        return float(loss.detach())

    assert steps.step(closure) == 1.0 and idle.tolist() == [[0.0, 1.0, 0.0]]


def test_states_are_saved_and_loaded() -> None:
    goals = Sphere(2).random(1, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def advance(z: Tensor, steps: RiemannianAdam, count: int) -> None:
        for _ in range(count):
            steps.zero_grad()
            Sphere(2).dist(z[None], goals).square().sum().backward()
            steps.step()

    start = Sphere(2).random(3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    z, w = start.clone().requires_grad_(), start.clone().requires_grad_()
    whole, half = RiemannianAdam([{"params": [z], "space": Sphere(2)}]), RiemannianAdam([{"params": [w], "space": Sphere(2)}])
    advance(z, whole, 10)
    advance(w, half, 5)
    again = RiemannianAdam([{"params": [w], "space": Sphere(2)}])
    again.load_state_dict(half.state_dict())
    advance(w, again, 5)
    assert torch.equal(z, w)


def test_a_refused_step_changes_nothing() -> None:
    z = torch.tensor([[1.0, 0.0, 0.0]], requires_grad=True)
    steps = RiemannianAdam([{"params": [z], "space": Sphere(2)}])
    z.grad = torch.tensor([[0.0, torch.nan, 0.0]])
    with pytest.raises(TensorError, match="gradient of parameter group 0"):
        steps.step()
    assert z.tolist() == [[1.0, 0.0, 0.0]] and not steps.state[z]
    z.grad = torch.tensor([[0.0, 1.0, 0.0]])
    steps.step()
    assert z[0, 1] < 0
    with pytest.raises(ShapeError):
        steps.add_param_group({"params": [torch.zeros(2)], "space": Sphere(2)})
    assert len(steps.param_groups) == 1


def test_refusals() -> None:
    z = torch.tensor([[1.0, 0.0, 0.0]], requires_grad=True)
    with pytest.raises(OptionError, match="lr"):
        RiemannianSGD([z], lr=0.0)
    with pytest.raises(OptionError, match="momentum"):
        RiemannianSGD([z], lr=0.1, momentum=1.0)
    with pytest.raises(OptionError, match="betas"):
        RiemannianAdam([z], betas=(0.9, 1.0))
    with pytest.raises(OptionError, match="p=2"):
        RiemannianAdam([{"params": [z], "space": Product(Sphere(1), Euclidean(1), p=1)}])
    with pytest.raises(OptionError, match="lr"):
        RiemannianSGD([{"params": [z], "lr": -1.0}], lr=1.0)
    with pytest.raises(OptionError, match="explicit"):
        RiemannianAdam([{"params": [z], "space": "sphere"}])
    with pytest.raises(ShapeError, match="shape"):
        RiemannianAdam([{"params": [z], "space": Sphere(3)}])
    with pytest.raises(TensorError):
        RiemannianAdam([{"params": [torch.ones(1, 3, requires_grad=True)], "space": Sphere(2)}])
