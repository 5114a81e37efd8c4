"""A user's decoder made safe: one batch dimension, evaluation mode, one tensor out, and checked to be a function."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from egregium.errors import DecoderError
from egregium.numerics.derivatives import jvp
from egregium.spaces.points import WORKING_DTYPES

PROBES = 8


@dataclass(frozen=True)
class Decoder:
    """A map `f: (N, d) -> (N, D)` around any callable `(N, d) -> (N, *out)`.

    Modules (and bound methods of modules) are called in evaluation mode, restored on leaving; dtype and device follow
    their parameters. A plain function is taken as it is. `check` finds what is not a deterministic, row by row,
    differentiable function.
    """

    fn: Callable[[Tensor], Tensor]
    modules: tuple[nn.Module, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if not callable(self.fn):
            raise DecoderError(
                f"a decoder must be callable, (N, d) -> (N, *out); got {type(self.fn).__name__}.{_part_to_pass(self.fn)}"
            )
        object.__setattr__(self, "modules", tuple(_modules(self.fn)))
        if self.like is not None and self.like.is_meta:
            raise DecoderError("the decoder's weights hold no data (they are on the meta device): load them first.")

    @property
    def like(self) -> Tensor | None:
        """A parameter or buffer whose dtype and device the decoder works in, if it has any."""
        for module in self.modules:
            for tensor in (*module.parameters(), *module.buffers()):
                if tensor.is_floating_point():
                    return tensor
        return None

    def raw(self, z: Tensor) -> Tensor:
        """The callable's own output `(N, *out)` at `z` `(N, d)`, checked to be one tensor of N rows."""
        with _evaluating(self.modules), sdpa_kernel(SDPBackend.MATH):
            try:
                x = self.fn(z)
            except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, NotImplementedError) as error:
                raise DecoderError(
                    f"the decoder failed on a {z.dtype} tensor of shape {tuple(z.shape)}: {_first_line(error)}. "
                    f"It is always called with one batch dimension, (N, d).{_part_to_pass(self.fn)}"
                ) from error
        try:
            _require_tensor(x, len(z))
        except DecoderError as error:
            raise DecoderError(f"{error}{_part_to_pass(self.fn)}") from None
        return x

    def __call__(self, z: Tensor) -> Tensor:
        return self.raw(z).flatten(1)

    def check(self, z: Tensor) -> None:
        """Probe the decoder at `z` `(N, d)`.

        Raises: `DecoderError` where it is not finite anywhere, not deterministic, not independent of batch mates, not
        differentiable, or constant.
        """
        z = z.detach()
        with torch.no_grad():
            x = self(z)
            usable = torch.isfinite(x).all(-1)
            if not usable.any():
                raise DecoderError(f"the decoder gives NaN or infinity at all of {len(z)} probe points; look at its weights.")
            z, x = z[usable], x[usable]
            tolerance = 1e3 * torch.finfo(x.dtype).eps * x.abs().max().clamp_min(torch.finfo(x.dtype).tiny)
            if (self(z) - x).abs().max() > tolerance:
                raise DecoderError(
                    "the decoder is not deterministic: two calls on the same points differ. Pass the map from z to the mean "
                    "(not a sample). Against dropout in training mode call model.eval(), or pass the nn.Module itself, which "
                    "is then run in eval mode."
                )
            alone = torch.cat([self(row[None]) for row in z[:2]])
            if (alone - x[:2]).abs().max() > 1e2 * tolerance:
                raise DecoderError(
                    "the decoder's output for a point depends on the other points of the batch (batch normalisation in "
                    "training mode?). Call model.eval(), or pass the nn.Module or its bound method, which are then run in "
                    "eval mode, or a function that treats rows independently."
                )
        self._check_derivative(z, x)

    def _check_derivative(self, z: Tensor, x: Tensor) -> None:
        direction = torch.ones_like(z)
        with torch.no_grad():
            varies = bool((self(z + 0.1 * direction) - x).abs().gt(0).any())
        if not varies:
            raise DecoderError("the decoder is constant: its output does not change with z, so it defines no metric.")
        try:
            tangent = jvp(self, z, direction)[1]
        except (RuntimeError, NotImplementedError) as error:
            raise DecoderError(
                f"the decoder is not twice differentiable: {_first_line(error)}. "
                "Use torch operations throughout, without .detach(), .numpy() or in-place writes to buffers."
            ) from error
        if not (tangent.abs() > 0).any():  # NaN at one probe is no derivative of zero at the others
            raise DecoderError("the decoder's output changes with z but its derivative is zero: remove .detach() or no_grad().")


def _part_to_pass(fn: object) -> str:
    """For a whole model in the place of its decoder: which of its parts to pass."""
    ways = {"decoders": "list(model.decoders)", "decoder": "model.decoder", "decode": "model.decode"}
    found = [way for name, way in ways.items() if hasattr(fn, name)]
    return f" This looks like a whole model: pass its decoder, {found[0]}." if found else ""


def _modules(fn: object) -> Iterator[nn.Module]:
    if isinstance(fn, partial):
        yield from _modules(fn.func)
    elif isinstance(fn, nn.Module):
        yield fn
    elif isinstance(owner := getattr(fn, "__self__", None), nn.Module):
        yield owner


@contextmanager
def _evaluating(modules: tuple[nn.Module, ...]) -> Iterator[None]:
    training = [part for module in modules for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _require_tensor(x: object, rows: int) -> None:
    if isinstance(x, torch.distributions.Distribution):
        raise DecoderError("the decoder returns a Distribution; pass `lambda z: decoder(z).mean` (or its logits with a chart).")
    if isinstance(x, (tuple, list)):
        raise DecoderError(f"the decoder returns a {type(x).__name__} of {len(x)}; pass `lambda z: decoder(z)[0]`.")
    if isinstance(x, dict):
        raise DecoderError(f"the decoder returns a dict; pass `lambda z: decoder(z)[{next(iter(x), 'key')!r}]`.")
    if not isinstance(x, Tensor):
        raise DecoderError(f"the decoder must return a torch tensor (N, *out); got {type(x).__name__}.")
    if x.ndim < 2 or len(x) != rows:
        raise DecoderError(f"the decoder must map ({rows}, d) to ({rows}, *out); got shape {tuple(x.shape)}.")
    if x.dtype not in WORKING_DTYPES:
        raise DecoderError(f"the decoder must return float32 or float64; got {x.dtype}.")


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
