"""Variances and principal directions against flat spaces, the sphere and geodesics, and their failures."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from egregium.errors import NotConvergedError, OptionError, ShapeError, TensorError, ToleranceError
from egregium.relations import exp, mean, principal_directions, variance
from egregium.spaces import Euclidean, Pullback
from egregium.status import Status
from egregium.testing.surfaces import Cylinder, SphericalCoordinates, StereographicSphere
from egregium.testing.twins import Diffeomorphism, random_decoder, twin

PLANE = Euclidean(2)
SPHERE = StereographicSphere()
SPACE = Pullback(SPHERE.decode, dim=2)


def normal(n: int, d: int = 2, seed: int = 0) -> Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


Z = normal(9)
WEIGHTS = torch.tensor([1.0, 2.0, 1.0, 0.0, 1.0, 3.0, 1.0, 1.0, 1.0])


def components(z: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Variances and directions of ordinary principal components, by the singular value decomposition."""
    share = weights.double() / weights.sum()
    centred = z - share @ z
    _, s, v = torch.linalg.svd(share.sqrt()[:, None] * centred, full_matrices=False)
    return s**2, v


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_flat_populations_have_ordinary_components(weights: Tensor | None) -> None:
    z = normal(9, 3)
    found = principal_directions(Euclidean(3), z, 3, weights)
    expected, axes = components(z, torch.ones(9) if weights is None else weights)
    torch.testing.assert_close(found.variances, expected, rtol=1e-10, atol=0)  # eigenvalues of a square
    torch.testing.assert_close((found.directions * axes).sum(-1).abs(), torch.ones(3).double(), rtol=1e-10, atol=0)
    torch.testing.assert_close(found.residuals, expected.sum() - expected, rtol=1e-10, atol=0)
    torch.testing.assert_close(variance(Euclidean(3), z, weights), expected.sum(), rtol=1e-10, atol=0)
    assert (found.scores.gather(0, found.scores.abs().argmax(0, keepdim=True)) > 0).all()


def test_a_curved_sheet_that_is_flat_inside() -> None:
    z = 0.4 * Z[:5]
    found = principal_directions(Pullback(Cylinder().decode, dim=2), z, 2, rtol=1e-6)
    expected, _ = components(z, torch.ones(5))
    torch.testing.assert_close(found.variances, expected, rtol=1e-4, atol=0)  # logarithms close to 1e-7 and the mean to 1e-6
    torch.testing.assert_close(found.residuals, expected.flip(0), rtol=1e-4, atol=0)


def test_the_variance_is_that_of_the_mean() -> None:
    z = SPHERE.sample(3, torch.Generator().manual_seed(0))
    assert torch.equal(variance(SPACE, z), mean(SPACE, z).variance)


def test_great_circles_leave_what_they_leave() -> None:
    """The residual of a great circle with normal n is the mean of `asin(<x, n>)^2`."""
    z = SPHERE.sample(4, torch.Generator().manual_seed(0))
    found = principal_directions(SPACE, z, 2, rtol=1e-6)
    x, foot = SPHERE.decode(z), SPHERE.decode(found.mean.point[None])[0]
    along = torch.func.vmap(lambda v: torch.func.jvp(lambda y: SPHERE.decode(y[None])[0], (found.mean.point,), (v,))[1])
    normals = torch.linalg.cross(foot.expand(2, 3), along(found.directions))
    torch.testing.assert_close(normals @ normals.mT, torch.eye(2).double(), rtol=0, atol=1e-9)  # orthonormal in the metric
    expected = (x @ normals.mT).asin().square().mean(0)
    torch.testing.assert_close(found.residuals, expected, rtol=1e-5, atol=0)  # distances to 1e-7, feet to sqrt(1e-6)
    assert found.variances.sum().item() == pytest.approx(found.mean.variance.item(), rel=1e-5)
    assert found.residuals.sum() < found.mean.variance  # spheres are round: less is left than in the plane


def test_points_on_a_geodesic_leave_nothing() -> None:
    space = Pullback(random_decoder(2, 10, 0), dim=2)
    times = torch.tensor([-0.6, -0.2, 0.1, 0.7], dtype=torch.float64)
    along = torch.tensor([0.3, 0.4], dtype=torch.float64)
    z = exp(space, torch.zeros(4, 2).double(), times[:, None] * along, rtol=1e-8)
    found = principal_directions(space, z, rtol=1e-5)
    total = found.mean.variance
    assert found.residuals[0] < 1e-4 * total and found.variances[0].item() == pytest.approx(total.item(), rel=1e-4)
    steps = (times - times.mean()) * space.norm(torch.zeros(2).double(), along)
    torch.testing.assert_close(found.scores[:, 0].abs(), steps.abs(), rtol=0, atol=1e-3 * float(total.sqrt()))


def agree(first: Pullback, second: Pullback, change: Callable[[Tensor], Tensor], z: Tensor, rtol: float) -> None:
    """Compare a population in two parametrisations of one surface, `change` the map from the first to the second."""
    here, there = principal_directions(first, z, rtol=rtol), principal_directions(second, change(z), rtol=rtol)
    differ = [abs(float(getattr(there, name) / getattr(here, name)) - 1) for name in ("variances", "residuals")]
    print(f"\n{here}\nvariance and residual elsewhere differ by {differ[0]:.1e} and {differ[1]:.1e}")
    assert max(differ) < 10 * rtol  # the mean is where its gradient is below rtol
    torch.testing.assert_close(there.scores, here.scores, rtol=0, atol=10 * rtol * float(here.mean.variance.sqrt()))
    carried = torch.func.jvp(change, (here.mean.point,), (here.directions[0],))[1]
    assert second.norm(there.mean.point, there.directions[0] - carried) < 10 * rtol


def test_invariance_under_reparametrisation() -> None:
    coordinates = SphericalCoordinates()

    def stereographic(z: Tensor) -> Tensor:
        x, y, height = coordinates.decode(z).unbind(-1)
        return torch.stack([x, y], -1) / (1 - height)[..., None]

    z = coordinates.sample(4, torch.Generator().manual_seed(0))
    agree(Pullback(coordinates.decode, dim=2), SPACE, stereographic, z, 1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("d", [2, 3])
def test_twins_agree(d: int) -> None:
    f, a = random_decoder(d, 10, 0), Diffeomorphism(d, seed=1)
    agree(Pullback(f, dim=d), Pullback(twin(f, a), dim=d), a.forward, 0.4 * normal(3, d), 1e-6)


def test_one_point_and_equal_points() -> None:
    for z in (Z[:1], Z[:1].expand(4, 2)):
        found = principal_directions(SPACE, z, 2)
        assert found.ok and not found.variances.any() and not found.residuals.any()
        lengths = SPACE.norm(found.mean.point.expand(2, 2), found.directions)
        torch.testing.assert_close(lengths, torch.ones(2).double())
        assert variance(SPACE, z) == 0


def test_failures_raise_or_mark() -> None:
    z = SPHERE.sample(4, torch.Generator().manual_seed(0))
    for call in (variance, principal_directions):
        with pytest.raises(NotConvergedError, match="the mean did not converge"):
            call(SPACE, z, rtol=1e-7, max_steps=1)
    marked = principal_directions(SPACE, z, rtol=1e-7, max_steps=1, on_fail="mark")
    assert marked.status == Status.MAX_STEPS and not marked.ok and "MAX_STEPS" in repr(marked)
    assert variance(SPACE, z, rtol=1e-7, max_steps=1, on_fail="mark").isnan()


def test_geodesics_that_leave_the_domain_are_told() -> None:
    """A half plane, and a point on a corner of it that the principal line passes outside."""
    space = Pullback(lambda z: torch.cat([z, 0 * z[:, :1].log()], -1))
    z = torch.tensor([[0.1, -3.0], [1.0, -1.0], [2.0, 0.0], [3.0, 1.0]], dtype=torch.float64)
    with pytest.raises(NotConvergedError, match="the principal directions did not converge"):
        principal_directions(space, z)
    found = principal_directions(space, z, on_fail="mark")
    assert found.status == Status.NONFINITE and found.residuals.isnan().all()
    torch.testing.assert_close(found.variances, components(z, torch.ones(4))[0][:1], rtol=1e-5, atol=0)


def test_results_are_detached_and_print_in_a_line() -> None:
    found = principal_directions(PLANE, Z.float().requires_grad_())
    assert found.variances.dtype == torch.float32 and not found.variances.requires_grad and not found.scores.requires_grad
    assert "\n" not in repr(found) and repr(found).startswith("PrincipalDirections(1 of 9 points, variance ")


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: principal_directions(PLANE, Z[None]), ShapeError, r"\(N, d\)"),
        (lambda: principal_directions(PLANE, Z[:0]), TensorError, "at least one point"),
        (lambda: principal_directions(PLANE, Z, 0), OptionError, "1 <= k <= 2, the dimension; got 0"),
        (lambda: principal_directions(PLANE, Z, 3), OptionError, "1 <= k <= 2, the dimension; got 3"),
        (lambda: principal_directions(PLANE, Z, "all"), OptionError, "got 'all'"),  # type: ignore[arg-type]
        (lambda: principal_directions(PLANE, Z, 1, torch.ones(3)), ShapeError, r"weights must have shape \(9,\)"),
        (lambda: principal_directions(PLANE, Z, 1, WEIGHTS - 1), OptionError, "not negative"),
        (lambda: principal_directions(PLANE, Z, rtol=0), ToleranceError, "rtol"),
        (lambda: principal_directions(PLANE, Z, on_fail="ignore"), OptionError, "on_fail"),
        (lambda: variance(PLANE, Z[0]), ShapeError, r"\(N, d\)"),
        (lambda: variance(PLANE, Z, [1.0] * 9), TensorError, "weights must be a torch tensor"),  # type: ignore[arg-type]
        (lambda: variance(PLANE, Z * torch.nan), TensorError, "points must be finite"),
    ],
)
def test_refusals(call, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()
