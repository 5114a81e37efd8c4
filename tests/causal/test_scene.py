"""The lamp-and-lever scene: a smooth injective decoder of a known causal model."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor
from torch.func import jacfwd, jacrev, jvp, vmap

from egregium.causal import DAG, Scene
from egregium.causal.scene import LampMechanism
from egregium.errors import OptionError, ShapeError, TensorError

SCENES = [Scene(), Scene(size=24, lamps=1), Scene(size=33, lamps=5)]
CIRCUIT = Scene(size=32)


def points(scene: Scene, count: int, reach: float = 2.5, seed: int = 0) -> Tensor:
    """Uniform over a cube, float64."""
    generator = torch.Generator().manual_seed(seed)
    return reach * (2 * torch.rand(count, scene.n, generator=generator, dtype=torch.float64) - 1)


def singular_values(scene: Scene, z: Tensor) -> Tensor:
    return torch.linalg.svdvals(vmap(jacfwd(lambda one: scene(one[None]).flatten()))(z))


def inverted(scene: Scene, x: Tensor, start: Tensor, steps: int = 12) -> Tensor:
    """Gauss-Newton's method, its steps no longer than one."""
    z = start
    for _ in range(steps):
        J = vmap(jacfwd(lambda one: scene(one[None]).flatten()))(z)
        step = torch.linalg.lstsq(J, (x - scene(z)).flatten(1)[..., None]).solution[..., 0]
        z = z + step / step.norm(dim=1, keepdim=True).clamp_min(1)
    return z


@pytest.mark.parametrize("scene", SCENES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_pictures_are_finite_greys_of_the_asked_shape_and_dtype(scene: Scene, dtype: torch.dtype) -> None:
    far = torch.tensor([[-1e4], [-6.0], [0.0], [6.0], [1e4]], dtype=dtype).expand(-1, scene.n)
    x = scene(torch.cat([far, points(scene, 5, 6).to(dtype)]))
    assert x.shape == (10, 3, scene.size, scene.size) and x.dtype == dtype
    assert bool((x >= 0).all()) and bool((x <= 1).all())
    assert len(scene(far[:0])) == 0


def test_pictures_do_not_depend_on_their_batch() -> None:
    z = points(CIRCUIT, 6)
    alone = torch.cat([CIRCUIT(one[None]) for one in z])
    torch.testing.assert_close(CIRCUIT(z), alone, rtol=0, atol=1e-14)  # sums in another order
    assert torch.equal(CIRCUIT(z), Scene(size=32)(z))


def test_single_and_double_precision_agree() -> None:
    z = points(CIRCUIT, 6)
    torch.testing.assert_close(CIRCUIT(z.float()).double(), CIRCUIT(z), rtol=0, atol=1e-5)  # 1e-7 in a position, over widths


def test_all_ways_to_differentiate_agree() -> None:
    scene = Scene(size=16)
    z, v = points(scene, 3), points(scene, 3, seed=1)

    def one(at: Tensor) -> Tensor:
        return scene(at[None]).flatten()

    forward, backward = vmap(jacfwd(one))(z), vmap(jacrev(one))(z)
    _, pushed, *_ = jvp(scene, (z,), (v,))
    ends = (scene(z + 1e-5 * v) - scene(z - 1e-5 * v)).flatten(1) / 2e-5
    along = torch.einsum("nxi,ni->nx", forward, v)
    torch.testing.assert_close(forward, backward, rtol=0, atol=1e-12)
    torch.testing.assert_close(pushed.flatten(1), along, rtol=0, atol=1e-12)
    torch.testing.assert_close(ends, along, rtol=0, atol=1e-7)  # third derivatives times 1e-10 / 6


def test_a_scene_outlives_the_transform_that_it_was_first_called_in() -> None:
    scene = Scene(size=16)
    z = points(scene, 1)
    jvp(scene, (z,), (z,))
    assert torch.equal(scene(z), Scene(size=16)(z))


def test_the_second_derivative_is_continuous() -> None:
    """Along a line its change shrinks in proportion to the step: no kink, no edge that is lost between pixels."""
    scene = Scene(size=16)
    start, v = points(scene, 1)[0], points(scene, 1, seed=1)[0]

    def bend(t: Tensor) -> Tensor:
        return jacfwd(jacfwd(lambda s: scene((start + s * v)[None]).flatten()))(t)

    def largest(step: float) -> float:
        t = torch.arange(-2, 3, dtype=torch.float64) * step
        return max(float((a - b).abs().max()) for a, b in pairwise(bend(one) for one in t))

    assert largest(0.001) < 0.2 * largest(0.01)


@pytest.mark.parametrize("scene", [Scene(size=24, lamps=1), Scene(size=32), Scene(size=32, lamps=5)], ids=str)
def test_no_direction_of_the_variables_is_lost_in_the_picture(scene: Scene) -> None:
    values = singular_values(scene, points(scene, 40))
    assert float((values[:, -1] / values[:, 0]).min()) > 0.015
    assert float(values[:, -1].min()) > 0.1 * scene.size / 64  # a root of a sum of squares over pixels


def test_variables_are_read_from_pixels() -> None:
    z = points(CIRCUIT, 24)
    x = CIRCUIT(z)
    known = points(CIRCUIT, 3000, seed=1)
    start = known[torch.cdist(x.flatten(1), CIRCUIT(known).flatten(1)).argmin(1)]
    torch.testing.assert_close(inverted(CIRCUIT, x, start), z, rtol=0, atol=1e-8)


def test_no_linear_map_reads_the_variables() -> None:
    z = points(CIRCUIT, 600)
    x = CIRCUIT(z).flatten(1)
    x = x - x[:400].mean(0)
    weights = torch.linalg.solve(x[:400] @ x[:400].T + torch.eye(400), z[:400])
    missed = (x[400:] @ (x[:400].T @ weights) - z[400:]).square().mean(0) / z[400:].var(0)
    assert float(missed.max()) < 0.2 and float(missed.min()) > 1e-3


def test_each_variable_shows_and_mixes_with_the_others() -> None:
    z = torch.zeros(1, 4, dtype=torch.float64)
    J = vmap(jacfwd(lambda one: CIRCUIT(one[None]).flatten()))(z)[0]
    assert float(J.norm(dim=0).min()) > 1
    shown = J.abs() > 0.05 * J.abs().amax(0)
    assert all(int((shown[:, i] & shown[:, j]).sum()) > 20 for i in range(4) for j in range(i))


def test_the_lever_throws_one_shadow_a_lamp() -> None:
    """With the lever at rest, the light that it takes from a lamp lies on the side away from that lamp."""
    scene, centres = Scene(), (torch.arange(64) + 0.5) / 64
    where = []
    for lamp in range(1, 4):
        z = torch.full((2, 4), -30.0, dtype=torch.float64)
        z[:, lamp], z[:, 0] = 3, torch.tensor([0.0, -30.0])
        taken = (scene(z)[1] - scene(z)[0]).sum(0)[56:].clamp_min(0).sum(0)[24:]  # below and right of the turned lever
        where.append(float((taken * centres[24:]).sum() / taken.sum()))
    assert where[0] > where[1] + 0.05 and where[1] > where[2] + 0.02


def test_the_graph_is_that_of_causal_circuit() -> None:
    assert Scene().graph == DAG([(), (0,), (0,), (0, 1, 2)])
    assert Scene(lamps=5).graph == DAG([(), (0,), (0,), (0, 1, 2), (0, 2, 3), (0, 3, 4)])
    assert Scene(lamps=5).names == ("lever", "blue", "green", "red", "amber", "violet")


@pytest.mark.parametrize("scene", SCENES, ids=str)
def test_mechanisms_depend_on_all_their_parents_and_keep_the_usual_range(scene: Scene) -> None:
    z = scene.scm.sample(4000, generator=torch.Generator().manual_seed(0))
    for i, (parents, mechanism, _) in list(enumerate(scene.scm.variables))[1:]:
        given = z[:, parents].requires_grad_()
        (slope,) = torch.autograd.grad(mechanism.forward(torch.zeros_like(z[:, i]), given).sum(), given)
        assert float(slope.abs().mean(0).min()) > 0.1
    assert float((z.abs() < 4).double().mean()) > 0.99 and bool((z.std(0) > 0.5).all())


def test_a_lamp_shines_most_near_the_lever() -> None:
    near, far = LampMechanism(1.2).location(torch.tensor([[1.2], [-1.2]]))
    assert float(near - far) > 1.5


def test_bad_input_is_refused() -> None:
    for size, lamps in ((15, 3), (64, 0), (64, 6)):
        with pytest.raises(OptionError, match="16 and 1 to 5 lamps"):
            Scene(size, lamps)
    for shape in ((4,), (2, 3), (1, 2, 4)):
        with pytest.raises(ShapeError, match=r"\(N, 4\)"):
            CIRCUIT(torch.zeros(shape))
    with pytest.raises(TensorError, match="int64"):
        CIRCUIT(torch.zeros(2, 4, dtype=torch.int64))
