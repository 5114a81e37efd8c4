"""Optimisers of points that live on a space: steps along geodesics, momentum carried along by parallel transport."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from egregium.errors import OptionError, ShapeError, TensorError
from egregium.spaces import Euclidean, Explicit, Product, Scaled, Torus
from egregium.spaces.product import require_riemannian

State = dict[str, Any]


class RiemannianOptimizer(Optimizer):
    """Base of optimisers whose parameter groups may have a `space`, of which their parameters `(*batch, width)` are points.

    Steps follow geodesics, so that points stay on the space, and do not depend on its coordinates. Groups without a space hold
    vectors, such as weights of a network, or a curvature that is learned.
    """

    def __init__(self, params: Any, defaults: State) -> None:
        super().__init__(params, {"space": None} | defaults)

    def add_param_group(self, param_group: State) -> None:
        self._check(self.defaults | param_group)
        space, given = param_group.get("space"), param_group["params"]
        for points in [given] if isinstance(given, Tensor) else list(given):
            if space is not None and isinstance(points, Tensor):
                _require_points(space, points)
        super().add_param_group(param_group)

    def _check(self, options: State) -> None:
        """Check the options of a group.

        Raises: `OptionError`.
        """
        space, lr = options["space"], options["lr"]
        if space is not None and not isinstance(space, Explicit):
            raise OptionError(f"the space of a group is an explicit one, such as Sphere(2); got {space!r}.")
        if space is not None:
            require_riemannian(space)
        if not isinstance(lr, int | float) or isinstance(lr, bool) or not 0 < lr < math.inf:
            raise OptionError(f"{type(self).__name__}(lr): the learning rate must be positive and finite; got {lr!r}.")

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """One step of every parameter that has a gradient; returns the loss that `closure` computes, where there is one.

        Raises: `TensorError` where a gradient is not finite; then nothing has moved.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for k, group in enumerate(self.param_groups):
            if not all(bool(torch.isfinite(z.grad).all()) for z in group["params"] if z.grad is not None):
                raise TensorError(f"a gradient of parameter group {k} holds NaN or infinity: lower lr (now {group['lr']}).")
        with torch.no_grad():
            for group in self.param_groups:
                for z in group["params"]:
                    if z.grad is not None and z.numel():
                        at = _Vectors(z) if group["space"] is None else _Points(group["space"], z)
                        new, state = self._moved(at, z.grad, self.state[z], group)
                        z.copy_(new)
                        self.state[z] = state
        return loss

    def _moved(self, at: "_Vectors | _Points", grad: Tensor, state: State, group: State) -> tuple[Tensor, State]:
        """Where points go that have the derivative `grad` in coordinates, and the state then."""
        raise NotImplementedError


class RiemannianSGD(RiemannianOptimizer):
    """Steepest descent along geodesics: `m <- momentum m + grad`, `z <- exp_z(-lr m)`, m carried along.

    Args:
        params: tensors, or groups `{"params": [...], "space": space}`.
        lr: length of a step per length of the gradient.
        momentum: share of the last step that is kept.

    Raises: `OptionError`; `ShapeError`; `TensorError` for points that are not on their space.

    References: Bonnabel 2013 (arXiv 1111.5280).

    >>> from egregium.spaces import Sphere
    >>> z = torch.tensor([0.6, 0.0, 0.8], requires_grad=True)
    >>> steps = RiemannianSGD([{"params": [z], "space": Sphere(2)}], lr=1.0)
    >>> for _ in range(20):
    ...     steps.zero_grad()
    ...     z[0].backward()
    ...     _ = steps.step()
    >>> [round(number, 3) for number in z.tolist()]
    [-1.0, 0.0, 0.0]
    """

    def __init__(self, params: Any, lr: float, *, momentum: float = 0.0) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum})

    def _check(self, options: State) -> None:
        super()._check(options)
        if not 0 <= options["momentum"] < 1:
            raise OptionError(f"RiemannianSGD(momentum): a number in [0, 1) is expected; got {options['momentum']}.")

    def _moved(self, at: "_Vectors | _Points", grad: Tensor, state: State, group: State) -> tuple[Tensor, State]:
        way = at.vector(at.slopes(grad))
        if group["momentum"]:
            way = way + group["momentum"] * state.get("momentum", 0.0)
        new, carried = at.followed(-group["lr"] * way, way)
        return new, {"momentum": carried}


class RiemannianAdam(RiemannianOptimizer):
    """Adam along geodesics: first moments are tangent vectors that are carried along, second moments belong to the factors.

    A second moment is the mean square of the gradient's components in an orthonormal frame of a factor; lines and circles are
    factors of their own, so that in flat space this is Adam.

    Args:
        params: tensors, or groups `{"params": [...], "space": space}`.
        lr: length of a step, about.
        betas: decay of the moments.
        eps: is added to the root of the second moment.

    Raises: `OptionError`; `ShapeError`; `TensorError` for points that are not on their space.

    References: Becigneul and Ganea 2019 (arXiv 1810.00760); Kingma and Ba 2015 (arXiv 1412.6980).
    """

    def __init__(self, params: Any, lr: float = 1e-3, *, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps})

    def _check(self, options: State) -> None:
        super()._check(options)
        betas, eps = options["betas"], options["eps"]
        pair = isinstance(betas, Sequence) and len(betas) == 2
        if not pair or not all(0 <= beta < 1 for beta in betas) or not eps > 0:
            raise OptionError(f"RiemannianAdam: two betas in [0, 1) and a positive eps are expected; got {betas}, {eps}.")

    def _moved(self, at: "_Vectors | _Points", grad: Tensor, state: State, group: State) -> tuple[Tensor, State]:
        keep, hold = group["betas"]
        slopes = at.slopes(grad)
        way, square = at.vector(slopes), at.by_factor(slopes.square())
        number = state.get("step", 0) + 1
        first = keep * state.get("first", 0.0) + (1 - keep) * way
        second = hold * state.get("second", 0.0) + (1 - hold) * square
        size = (second / (1 - hold**number)).sqrt() + group["eps"]
        step = at.vector(at.components(first) / ((1 - keep**number) * size))
        new, carried = at.followed(-group["lr"] * step, first)
        return new, {"step": number, "first": carried, "second": second}


@dataclass(frozen=True)
class _Vectors:
    """Numbers of any shape, as a flat space of which every number is a factor."""

    z: Tensor

    def slopes(self, grad: Tensor) -> Tensor:
        return grad

    def vector(self, components: Tensor) -> Tensor:
        return components

    def components(self, v: Tensor) -> Tensor:
        return v

    def by_factor(self, squares: Tensor) -> Tensor:
        return squares

    def followed(self, step: Tensor, carried: Tensor) -> tuple[Tensor, Tensor]:
        return self.z + step, carried


class _Points:
    """Points `(*batch, width)` of a space with an orthonormal frame at each."""

    def __init__(self, space: Explicit, z: Tensor) -> None:
        self.space, self.z, self.frame = space, z, space.frame(z)

    def slopes(self, grad: Tensor) -> Tensor:
        """Derivatives along the frame `(*batch, dim)`, the components of the gradient."""
        return (self.frame.mT @ grad[..., None])[..., 0]

    def vector(self, components: Tensor) -> Tensor:
        """The tangent vector `(*batch, width)` with these components."""
        return (self.frame @ components[..., None])[..., 0]

    def components(self, v: Tensor) -> Tensor:
        """Components `(*batch, dim)` of a tangent vector."""
        return torch.stack([self.space.inner(self.z, v, axis.contiguous()) for axis in self.frame.unbind(-1)], -1)

    def by_factor(self, squares: Tensor) -> Tensor:
        """Squares of components, averaged over each factor."""
        return torch.cat([part.mean(-1, keepdim=True).expand_as(part) for part in squares.split(_sizes(self.space), -1)], -1)

    def followed(self, step: Tensor, carried: Tensor) -> tuple[Tensor, Tensor]:
        """The end of the geodesic that starts with `step`, and a tangent vector carried there."""
        new = self.space.project(self.space.exp(self.z, step))
        return new, self.space.transport(self.z, new, carried)


def _require_points(space: Explicit, points: Tensor) -> None:
    if points.ndim == 0 or points.shape[-1] != space.width:
        raise ShapeError(f"points of {space!r} have shape (*batch, {space.width}); got {tuple(points.shape)}.")
    if points.numel():
        space.require_inside(points)


def _sizes(space: Explicit) -> list[int]:
    """Dimensions of the factors of a space; lines and circles are one each."""
    match space:
        case Product():
            return [size for factor in space.factors for size in _sizes(factor)]
        case Scaled():
            return _sizes(space.space)
        case Euclidean() | Torus():
            return [1] * space.dim
    return [space.dim]
