"""The one shape in which egregium meets a model: an encoder, one or many decoders, a prior and a chart of its likelihood."""

import hashlib
import inspect
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from egregium.errors import ModelError, TensorError
from egregium.models.latents import family
from egregium.protocols import LatentDensity
from egregium.runs.code import code_version
from egregium.spaces import Explicit
from egregium.spaces.decoder import Decoder

Map = Callable[[Tensor], Tensor]
PROBES = 8
_ONE = torch.Size()


@dataclass(frozen=True, init=False, eq=False, repr=False)
class LatentModel:
    """A trained model with a latent space: `encode (N, *shape) -> (N, d)`, decoders `(N, d) -> (N, *shape)`.

    `encode` and `decode` are an `nn.Module`, a bound method of one, or any function; `decode` may be a list, the members of an
    ensemble on one latent space. Modules run in evaluation mode (found through bound methods, `partial` and the closures of
    functions too) and are left as they were.

    Args:
        encode: observations to latent points; deterministic, e.g. the mean of a variational posterior.
        decode: latent points to parameters of the likelihood; deterministic, e.g. its mean.
        prior: density of latent points, any distribution of event shape (width,); by default N(0, I), on a base the one that
            `VAE` has there, such as the uniform one on spheres.
        chart: one of `egregium.charts`, coordinates of data space in which the likelihood is measured; plain by default.
        name: how reports call this model.
        base: the explicit latent space, where it is not Euclidean, such as `Sphere(2)`: `encode` gives its points and decoders
            receive `base.embed(z)`.
        posterior: observations `(N, *shape)` to a `torch.distributions.Distribution` of latent points, of batch shape (N,) and
            event shape (width,), for likelihoods.

    Raises:
        ModelError: not callable, no decoder, a base that is no explicit space, or a prior whose event shape is not (width,).

    >>> model = LatentModel(nn.Linear(5, 2), nn.Linear(2, 5), name="linear")
    >>> model.encode(torch.zeros(3, 5)).shape, model.dim, model.prior.event_shape
    (torch.Size([3, 2]), 2, torch.Size([2]))
    """

    decoders: tuple[Map, ...]
    chart: Map | None
    name: str
    base: Explicit | None
    posterior: Callable[[Tensor], Distribution] | None
    _encoder: Map
    _prior: LatentDensity | None
    _dim: int | None

    def __init__(
        self,
        encode: Map,
        decode: Map | Sequence[Map],
        *,
        prior: LatentDensity | None = None,
        chart: Map | None = None,
        name: str | None = None,
        base: Explicit | None = None,
        posterior: Callable[[Tensor], Distribution] | None = None,
    ) -> None:
        # An nn.ModuleList is a sequence of decoders, though it is a module and so looks callable.
        decoders = tuple(decode) if isinstance(decode, Sequence | nn.ModuleList) else (decode,)
        if not decoders:
            raise ModelError("LatentModel got an empty list of decoders; expected at least one callable (N, d) -> (N, *shape).")
        if base is not None and not isinstance(base, Explicit):
            raise ModelError(f"LatentModel(base=...) takes an explicit space, such as Sphere(2); got {type(base).__name__}.")
        roles = [("encode", encode), *(("decode", decoder) for decoder in decoders)]
        for role, call in roles if posterior is None else [*roles, ("posterior", posterior)]:
            if not callable(call):
                raise ModelError(
                    f"LatentModel needs a callable for `{role}`, an nn.Module or a function; got {type(call).__name__}."
                )
        if chart is not None and not callable(chart):
            raise ModelError(f"LatentModel(chart=...) is one of eg.charts, such as eg.charts.Gaussian(0.2); got {chart!r}.")
        event_shape = getattr(prior, "event_shape", None)
        if prior is not None and base is not None and event_shape not in (None, (base.width,)):
            raise ModelError(f"the prior has event shape {tuple(event_shape)}; points of {base} have ({base.width},).")
        if prior is not None and event_shape is not None and len(event_shape) != 1:
            raise ModelError(
                f"the prior has event shape {tuple(event_shape)}; expected (d,): "
                "wrap it, e.g. torch.distributions.Independent(prior, 1)."
            )
        for attribute, value in {
            "decoders": decoders,
            "chart": chart,
            "name": name or "model",
            "base": base,
            "posterior": posterior,
            "_encoder": encode,
            "_prior": prior,
            "_dim": base.width if base is not None else int(event_shape[0]) if event_shape is not None else None,
        }.items():
            object.__setattr__(self, attribute, value)

    @property
    def dim(self) -> int:
        """Numbers d of a latent point: from base, prior, the first `encode`, or a decoder module whose first layer is linear.

        Raises:
            ModelError: none of these tells.
        """
        if self._dim is not None:
            return self._dim
        # Of a bound method's module the first layer may be the encoder's, so only decoders that are modules tell.
        parts = (part for call in self.decoders if isinstance(call, nn.Module) for part in call.modules())
        first = next((part for part in parts if list(part.parameters(recurse=False))), None)
        if not isinstance(first, nn.Linear):
            raise ModelError(f"the latent dimension of {self.name!r} is not known yet; encode some data first or give a prior.")
        return first.in_features

    @property
    def prior(self) -> LatentDensity:
        """The density of latent points; where none was given N(0, I), or what suits the base."""
        if self._prior is not None:
            return self._prior
        if self.base is not None:
            return family(self.base).prior()
        return StandardNormal(self)

    def encode(self, x: Tensor, *, chunk_size: int = 2048) -> Tensor:
        """Latent points `(N, d)` of observations `x (N, *shape)`, without gradient, `chunk_size` rows at a time.

        Floating-point `x` is brought to the dtype and device of the encoder's weights.

        Raises:
            TensorError: `x` is not a tensor of at least one row, all of it finite.
            ModelError: the encoder returns something else than one finite, reproducible tensor (N, d).
        """
        x = self.received(x)
        with torch.no_grad(), evaluating(self._encoder):
            probe = x[:PROBES]
            first, second = self._encoded(probe), self._encoded(probe)
            if (first - second).abs().max() > 1e3 * torch.finfo(first.dtype).eps * first.abs().max():
                raise ModelError(
                    f"the encoder of {self.name!r} is random: two calls on the same observations differ. Return the mean of "
                    "the posterior, not a sample, and pass the nn.Module or its bound method, to run in evaluation mode."
                )
            z = torch.cat([self._encoded(rows) for rows in x.split(chunk_size)])
        if self._dim is None:
            object.__setattr__(self, "_dim", z.shape[1])
        elif z.shape[1] != self._dim:
            raise ModelError(
                f"the encoder of {self.name!r} gives {z.shape[1]} latent numbers, but the latent dimension is {self._dim}."
            )
        return z

    def received(self, x: Tensor) -> Tensor:
        """Observations `(N, *shape)` checked, in the dtype and on the device of the encoder's weights.

        Raises: `TensorError`.
        """
        if not isinstance(x, Tensor) or x.ndim < 2 or not len(x):
            given = f"shape {tuple(x.shape)}" if isinstance(x, Tensor) else type(x).__name__
            raise TensorError(f"a model expects a tensor (N, *shape) of at least one observation; got {given}.")
        if x.is_floating_point() and not bool((finite := torch.isfinite(x.flatten(1)).all(-1)).all()):
            raise TensorError(f"{int((~finite).sum())} of {len(x)} observations hold NaN or infinity: leave them out.")
        weights = next(_tensors(self._encoder), None)
        if weights is None:
            return x
        return x.to(weights.device, weights.dtype) if x.is_floating_point() else x.to(weights.device)

    def __repr__(self) -> str:
        chart = "" if self.chart is None else f", chart {self.chart}"
        return f"LatentModel({self.name!r}, {len(self.decoders)} decoders{chart})"

    def _encoded(self, x: Tensor) -> Tensor:
        try:
            z = self._encoder(x)
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError, NotImplementedError) as error:
            raise ModelError(
                f"the encoder of {self.name!r} failed on observations of shape {tuple(x.shape)}: "
                f"{type(error).__name__}: {error}"
            ) from error
        if not isinstance(z, Tensor):
            raise ModelError(f"the encoder of {self.name!r} returned {_remedy(z, self._encoder)}")
        if z.ndim != 2 or len(z) != len(x) or not z.is_floating_point():
            raise ModelError(
                f"the encoder of {self.name!r} must map {len(x)} observations to a real tensor ({len(x)}, d); "
                f"got {z.dtype} of shape {tuple(z.shape)}."
            )
        finite = torch.isfinite(z).all(-1)
        if not finite.all():
            raise ModelError(
                f"the encoder of {self.name!r} gives NaN or infinity for {int((~finite).sum())} of {len(z)} observations; "
                "look at the observations' scale and at the weights."
            )
        return z

    def identity(self) -> str:
        """SHA-256 (hex) of the model: weights, source of its functions, decoded probe, prior, chart, and code of egregium.

        Weights count exactly. Decoded probes, which stand for what no weight shows, count to three digits, so that another
        thread count or processor does not look like another model.
        """
        digest = hashlib.sha256(code_version().encode())
        for call in (self._encoder, *self.decoders):
            digest.update(f"|{_source(call)}".encode())
            for module in modules_of(call):
                update_with_weights(digest, module.state_dict())
        generator = torch.Generator().manual_seed(0)
        if self.base is None:
            probe = torch.randn(PROBES, self.dim, generator=generator, dtype=torch.float64)
        else:
            probe = self.base.random(PROBES, generator=generator, dtype=torch.float64)
            digest.update(f"|{self.base!r}".encode())
        for decoder in self.decoders:
            like = _like(decoder)
            z = probe.to(like.device, like.dtype)
            with torch.no_grad():
                x = Decoder(decoder).raw(z if self.base is None else self.base.embed(z))
                seen = [x] if self.chart is None else [x, self.chart(x)]
            digest.update(f"|{tuple(x.shape)}{[_rms(values) for values in seen]}".encode())
        like = _like(self.decoders[0])
        try:
            density = _rms(self.prior.log_prob(probe.to(like.device, like.dtype))[:, None])
        except ValueError:  # the probe lies outside the prior's support
            density = repr(self.prior)
        digest.update(f"|{density}".encode())
        return digest.hexdigest()


@dataclass(frozen=True)
class StandardNormal:
    """N(0, I) on the latent points of a model, whose dimension may become known only when it first encodes."""

    model: LatentModel

    @property
    def event_shape(self) -> torch.Size:
        return torch.Size([self.model.dim])

    def log_prob(self, value: Tensor) -> Tensor:
        """Log-density `(*batch, d) -> (*batch)`."""
        return -0.5 * (value.square() + math.log(2 * math.pi)).sum(-1)

    def sample(self, sample_shape: torch.Size = _ONE) -> Tensor:
        """Points `(*sample_shape, d)` of the decoders' dtype and device, drawn with torch's global generator."""
        like = _like(self.model.decoders[0])
        return torch.randn(*sample_shape, self.model.dim, dtype=like.dtype, device=like.device)


def modules_of(call: object) -> list[nn.Module]:
    """The modules that a callable runs: itself, the owner of a bound method, or those a function or `partial` refers to."""
    if isinstance(call, nn.Module):
        return [call]
    if isinstance(call, partial):
        parts: list[object] = [call.func, *call.args, *call.keywords.values()]
        return [module for part in parts for module in modules_of(part)]
    if isinstance(owner := getattr(call, "__self__", None), nn.Module):
        return [owner]
    if inspect.isfunction(call):
        try:
            seen = inspect.getclosurevars(call)
        except ValueError:  # a variable of the enclosing function that has no value yet
            return []
        values = [*seen.nonlocals.values(), *(seen.globals[name] for name in sorted(seen.globals))]
        return [owner for value in values for owner in _owned(value)]
    return []


def _owned(value: object) -> list[nn.Module]:
    owner = value if isinstance(value, nn.Module) else getattr(value, "__self__", None)
    return [owner] if isinstance(owner, nn.Module) else []


@contextmanager
def evaluating(call: object) -> Iterator[None]:
    """Run the modules of `call` in evaluation mode; each part's mode is restored on leaving."""
    training = [part for module in modules_of(call) for part in module.modules() if part.training]
    for part in training:
        part.training = False
    try:
        yield
    finally:
        for part in training:
            part.training = True


def _tensors(call: object) -> Iterator[Tensor]:
    for module in modules_of(call):
        for tensor in (*module.parameters(), *module.buffers()):
            if tensor.is_floating_point():
                yield tensor


def _like(call: object) -> Tensor:
    """A tensor of the dtype and device that `call` works in."""
    return next(_tensors(call), torch.zeros(()))


def _remedy(z: object, encoder: object) -> str:
    """What came back instead of a tensor, and the line to write."""
    call = "model" if isinstance(encoder, nn.Module) else f"model.{getattr(encoder, '__name__', 'encode')}"
    if inspect.isfunction(encoder):
        call = encoder.__name__ if encoder.__name__ != "<lambda>" else "encode"
    advice = "; one tensor (N, d) is expected: write `encode=lambda x: {}`."
    if isinstance(z, Distribution):
        return "a Distribution" + advice.format(f"{call}(x).mean")
    if isinstance(z, tuple | list):
        return f"a {type(z).__name__} of {len(z)}" + advice.format(f"{call}(x)[0]")
    if isinstance(z, dict):
        return "a dict" + advice.format(f"{call}(x)[{next(iter(z), 'key')!r}]")
    return f"{type(z).__name__}; expected one torch tensor (N, d)."


def _source(call: object) -> str:
    target = type(call) if isinstance(call, nn.Module) else call.func if isinstance(call, partial) else call
    try:
        return inspect.getsource(target)  # type: ignore[arg-type]
    except (OSError, TypeError):  # built in, or typed at a prompt
        return getattr(target, "__qualname__", type(target).__qualname__)


def update_with_weights(digest: "hashlib._Hash", weights: Mapping[str, object]) -> None:
    """Feed names, dtypes, shapes and bytes of the tensors of a state dict to a hash."""
    for name, value in sorted(weights.items()):
        if isinstance(value, Tensor):
            digest.update(f"|{name}{value.dtype}{tuple(value.shape)}".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes())


def _rms(x: Tensor) -> list[str]:
    return [f"{value:.3g}" for value in x.double().flatten(1).square().mean(1).sqrt().tolist()]
