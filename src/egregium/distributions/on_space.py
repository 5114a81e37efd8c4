"""What densities on an explicit space share: checked parameters and points, and batches as `torch.distributions` has them."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from egregium.errors import OptionError, ShapeError, TensorError
from egregium.spaces import Explicit
from egregium.spaces.points import flat, require_points


class On(constraints.Constraint):
    """Points `(*batch, width)` that lie on a space."""

    event_dim = 1

    def __init__(self, space: Explicit) -> None:
        self.space = space
        super().__init__()

    def __repr__(self) -> str:
        return f"On({self.space})"

    def check(self, value: Tensor) -> Tensor:
        if self._inside(value):
            return torch.ones(value.shape[:-1], dtype=torch.bool, device=value.device)
        rows = [self._inside(row) for row in flat(value)]
        return torch.tensor(rows, device=value.device).reshape(value.shape[:-1])

    def _inside(self, value: Tensor) -> bool:
        try:
            require_points(value, width=self.space.width, names="value")
            self.space.require_inside(value)
        except (ShapeError, TensorError):
            return False
        return True


class OnSpace(Distribution):
    """A density against the Riemannian volume of `space`, of points `(*sample, *batch, width)`.

    Batch shapes broadcast, as those of all distributions of torch do. Computed in float64 and rounded to the dtype of the
    parameters in the end. Draws use torch's global generator. Attributes named in `event_dims` are the parameters, with as many
    axes behind the batch as it says.
    """

    event_dims: ClassVar[Mapping[str, int]] = {}
    space: Explicit

    def __init__(self, space: Explicit, validate_args: bool | None = None, **parameters: Tensor) -> None:
        self.space = space
        ends = {name: value.ndim - self.event_dims[name] for name, value in parameters.items()}
        batch = _broadcast(type(self).__name__, {name: value.shape[: ends[name]] for name, value in parameters.items()})
        for name, value in parameters.items():
            setattr(self, name, value.expand(batch + value.shape[ends[name] :]))
        super().__init__(batch, torch.Size([space.width]), validate_args=False)
        self._validate_args = type(self)._validate_args if validate_args is None else validate_args

    @property
    def arg_constraints(self) -> dict[str, constraints.Constraint]:
        return {}

    @property
    def support(self) -> constraints.Constraint:
        return On(self.space)

    def __repr__(self) -> str:
        batch = f", batch_shape={tuple(self.batch_shape)}" if self.batch_shape else ""
        return f"{type(self).__name__}({self.space}{batch})"

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new: Any = self._get_checked_instance(type(self), _instance)
        batch = torch.Size(batch_shape)
        new.space = self.space
        for name, ndim in self.event_dims.items():
            value = getattr(self, name)
            setattr(new, name, value.expand(batch + value.shape[value.ndim - ndim :]))
        Distribution.__init__(new, batch, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _points(self, value: Tensor) -> Tensor:
        """Points at which a density is asked for, in float64, expanded to the batch.

        Raises: `ShapeError`; `TensorError`.
        """
        if not isinstance(value, Tensor) or value.ndim == 0 or value.shape[-1] != self.space.width:
            found = tuple(value.shape) if isinstance(value, Tensor) else type(value).__name__
            raise ShapeError(f"value must have shape (*sample, *batch, {self.space.width}) on {self.space}; got {found}.")
        batch = _broadcast("log_prob", {"value": value.shape[:-1], "batch_shape": self.batch_shape})
        if self._validate_args:
            require_points(value, width=self.space.width, names="value")
            self.space.require_inside(value)
        return value.double().expand(*batch, self.space.width)

    def _all(self, name: str, batch: torch.Size) -> Tensor:
        """A parameter in float64, expanded to a batch."""
        value: Tensor = getattr(self, name)
        return value.double().expand(batch + value.shape[value.ndim - self.event_dims[name] :])

    def _landed(self, x: Tensor) -> Tensor:
        """Draws x, as the space writes points.

        Raises: `OptionError` where they overflowed.
        """
        if not bool(torch.isfinite(x).all()):
            raise OptionError(
                f"draws of {self} overflow: they lie too far out for the space's coordinates; take a smaller scale."
            )
        return self.space.project(x)


class AboutLoc(OnSpace):
    """Base of densities that are symmetric about a point `loc` `(*batch, width)`, and move with it."""

    has_rsample = True
    loc: Tensor

    @property
    def mean(self) -> Tensor:
        """`loc`, the point about which it is symmetric."""
        return self.loc


class PeakedAtLoc(AboutLoc):
    """Base of those of them that are greatest at `loc`."""

    @property
    def mode(self) -> Tensor:
        """`loc`."""
        return self.loc


def _broadcast(where: str, shapes: Mapping[str, torch.Size]) -> torch.Size:
    try:
        return torch.broadcast_shapes(*shapes.values())
    except RuntimeError as error:
        listed = ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes.items())
        raise ShapeError(f"{where}: batch shapes must broadcast against each other; got {listed}.") from error


def require_loc(kind: str, space: Explicit, loc: Tensor) -> None:
    """Check that `loc` are points of the space.

    Raises: `TensorError`; `ShapeError`.
    """
    require_points(loc, width=space.width, names=f"{kind}(loc)")
    space.require_inside(loc)


def number(kind: str, name: str, value: float | Tensor, like: Tensor, *, zero: bool, check: bool) -> Tensor:
    """A parameter as a tensor of the dtype and device of `like`, checked to be finite and positive, or not negative.

    Raises: `OptionError`.
    """
    if not isinstance(value, (int, float, Tensor)) or isinstance(value, bool):
        raise OptionError(f"{kind}({name}): a number or a tensor is expected; got {type(value).__name__}.")
    given = torch.as_tensor(value, dtype=like.dtype, device=like.device)
    if check:
        good = torch.isfinite(given) & (given >= 0 if zero else given > 0)
        if not bool(good.all()):
            bound = "of at least 0" if zero else "positive"
            raise OptionError(
                f"{kind}({name}): values must be finite and {bound}; got {float(given.detach()[~good].flatten()[0]):g}: "
                "make them so with softplus or exp."
            )
    return given


def require_space(kind: str, space: object, allowed: type, hint: str) -> None:
    """Check that a space is one of a kind.

    Raises: `OptionError`.
    """
    if not isinstance(space, allowed):
        raise OptionError(f"{kind} is a density on {allowed.__name__} spaces; got {space!r}: {hint}")
