"""A variational autoencoder with one encoder and S decoders: its specification, its module and its objective."""

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.distributions import Distribution

from egregium.errors import ModelError, OptionError
from egregium.models.latents import Latent, Posterior, family
from egregium.models.nets import (
    Ensemble,
    SeparateDecoders,
    StackedPerceptrons,
    conv_decoder,
    conv_encoder,
    mlp_decoder,
    mlp_encoder,
)
from egregium.spaces import Euclidean, Explicit
from egregium.spaces.description import described, from_description

Likelihood = Literal["gaussian", "bernoulli"]
Activation = Literal["silu", "softplus", "gelu", "tanh"]
Optimizer = Literal["adam", "adamax"]


@dataclass(frozen=True, eq=False)
class VAE:
    """Architecture and training of a variational autoencoder, as a value: equal specifications train equal models.

    Minimised is the mean over observations and decoders of

        |x - f_s(z)|^2 / (2 sigma^2) + beta KL(q(z | x) | p(z)),   z ~ q(z | x),

    or, for the Bernoulli likelihood, the same with the cross-entropy of the logits `f_s(z)`. On a Euclidean latent space q is
    `N(m(x), v(x))` and p is N(0, I); on others both match the space, and decoders receive coordinates that are smooth on the
    whole of it (`space.embed`), but for `ConstantCurvature` that is positive, which has none at the antipode of its origin.

    Args:
        latent: dimension d of a Euclidean latent space; or any explicit space, such as `Sphere(2)` or
            `Product(Hyperbolic(2), Torus(1))`.
        posterior: on spaces that are not Euclidean. "natural": power spherical on spheres, von Mises on tori, with uniform
            priors; wrapped normals on hyperbolic spaces, with the prior of scale 1 about the origin. "von-mises-fisher" changes
            that on spheres, "wrapped-normal" on spheres and tori; other factors keep theirs.
        learn_curvature: whether curvatures of `Hyperbolic` and `ConstantCurvature` factors are weights.
        decoders: number S of decoders on the one encoder.
        hidden: widths of the fully connected layers, from latent to data; the encoder uses them in reverse.
        convolutional: put convolutions between the fully connected layers and an image of shape (C, H, W).
        channels: channels of the convolutions, from the image inwards; each halves the image. Unused where not `convolutional`.
        likelihood: "gaussian" (data of any range) or "bernoulli" (data in [0, 1], decoders give logits).
        sigma: standard deviation of the Gaussian likelihood, fixed, in units of the data.
        activation: one with two continuous derivatives.
        beta: weight of the KL term.
        beta_warmup: epochs in which that weight rises from zero, evenly; held-out losses count from then on.
        split_batches: each mini-batch is split into S parts, one per decoder; otherwise each decoder sees every observation.
        epochs: most passes over the training data; the learning rate falls to zero along a cosine over them.
        batch_size: observations per step.
        lr: highest learning rate, reached after `warmup` steps (a tenth of all steps where those are fewer).
        warmup: steps of linear warm-up.
        optimizer: "adam" or "adamax"; the global norm of the gradient is clipped at 1 in both.
        held_out: share of the training data that is kept for stopping; the same observations for every seed.
        patience: epochs without a lower held-out loss after which training stops; the best weights are kept in any case.

    Raises:
        OptionError: a field has a value outside the above.

    References:
        Kingma and Welling 2014, arXiv 1312.6114; Syrota et al. 2025, arXiv 2502.13757 (the ensemble of decoders); Davidson et
        al. 2018, arXiv 1804.00891 (spheres); Nagano et al. 2019, arXiv 1902.02992 (hyperbolic spaces); Skopek et al. 2020,
        arXiv 1911.08411 (products, learned curvatures).

    >>> VAE.from_json(VAE(latent=3).to_json()) == VAE(latent=3)
    True
    """

    latent: int | Explicit = 2
    posterior: Posterior = "natural"
    learn_curvature: bool = False
    decoders: int = 8
    hidden: tuple[int, ...] = (256, 256)
    convolutional: bool = False
    channels: tuple[int, ...] = (8, 16, 32)
    likelihood: Likelihood = "gaussian"
    sigma: float = 0.2
    activation: Activation = "silu"
    beta: float = 1.0
    beta_warmup: int = 0
    split_batches: bool = True
    epochs: int = 100
    batch_size: int = 128
    lr: float = 2e-3
    warmup: int = 100
    optimizer: Optimizer = "adam"
    held_out: float = 0.1
    patience: int = 30

    def __post_init__(self) -> None:
        for name in ("hidden", "channels"):
            object.__setattr__(self, name, _widths(name, getattr(self, name)))
        object.__setattr__(self, "latent", _latent(self.latent))
        for name, least in {"decoders": 1, "epochs": 1, "batch_size": 1, "warmup": 0, "beta_warmup": 0, "patience": 1}.items():
            _whole(name, getattr(self, name), least)
        for name in ("sigma", "beta", "lr"):
            object.__setattr__(self, name, _positive(name, getattr(self, name)))
        object.__setattr__(self, "held_out", _positive("held_out", self.held_out))
        if self.held_out > 0.5:
            raise OptionError(
                f"VAE got held_out={self.held_out}; expected a share above 0 and at most 0.5 of the training data."
            )
        for name in ("convolutional", "split_batches", "learn_curvature"):
            if not isinstance(getattr(self, name), bool):
                raise OptionError(f"VAE got {name}={getattr(self, name)!r}; expected True or False.")
        for name, kind in {
            "likelihood": Likelihood, "activation": Activation, "optimizer": Optimizer, "posterior": Posterior,
        }.items():  # fmt: skip
            if getattr(self, name) not in get_args(kind):
                raise OptionError(f"VAE got {name}={getattr(self, name)!r}; expected one of {', '.join(get_args(kind))}.")
        if not self.hidden and not self.convolutional:
            raise OptionError(
                "VAE got hidden=(); a decoder without convolutions needs at least one hidden width, e.g. (256, 256)."
            )
        if self.convolutional and not self.channels:
            raise OptionError("VAE got convolutional=True and channels=(); give at least one, e.g. (8, 16, 32).")
        if self.beta_warmup >= self.epochs:
            raise OptionError(
                f"VAE got beta_warmup={self.beta_warmup} and epochs={self.epochs}; expected more epochs than those in which "
                "the weight of the divergence rises."
            )
        family(self.space, self.posterior)
        if self.learn_curvature and not list(Latent(self.space, learned=True).parameters()):
            raise OptionError(
                f"VAE got learn_curvature=True on {self.space!r}, which has no Hyperbolic or ConstantCurvature factor to learn "
                "the curvature of."
            )
        if self.split_batches and self.batch_size < self.decoders:
            raise OptionError(
                f"VAE got batch_size={self.batch_size} to split among {self.decoders} decoders; expected at least one "
                "observation each: take fewer decoders (--decoders), raise batch_size or set split_batches=False."
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, VAE) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(repr(self.to_json()))

    @property
    def space(self) -> Explicit:
        """The latent space."""
        return self.latent if isinstance(self.latent, Explicit) else Euclidean(self.latent)

    def to_json(self) -> dict[str, Any]:
        """The specification as a JSON object, with the key "model" telling its kind."""
        return {"model": "vae"} | {one.name: _written(getattr(self, one.name)) for one in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "VAE":
        """Inverse of `to_json`; fields that are absent take their defaults.

        Raises:
            ModelError: not a specification of a VAE, or one with fields unknown to this version.
            OptionError: a field has a value outside its range.
        """
        if not isinstance(data, Mapping) or data.get("model") != "vae":
            raise ModelError(f'a VAE specification is a JSON object with "model": "vae"; got {_shown(data)}.')
        unknown = sorted(set(data) - {f.name for f in fields(cls)} - {"model"})
        if unknown:
            raise ModelError(
                f"the VAE specification has unknown fields: {', '.join(unknown)}; it may come from another version of egregium."
            )
        given = {name: value for name, value in data.items() if name != "model"}
        if isinstance(given.get("latent"), Mapping):
            given["latent"] = from_description(given["latent"])
        return cls(**given)

    def build(self, shape: Sequence[int], seed: int) -> "VAEModule":
        """The untrained module for observations of `shape`, float32, its weights drawn from `seed` alone.

        Raises: `ModelError`, as `check_shape` does.
        """
        shape = self.check_shape(shape)
        generator = torch.Generator().manual_seed(seed)
        latent = Latent(self.space, self.posterior, learned=self.learn_curvature)
        numbers, act, hidden = latent.family.numbers, self.activation, self.hidden
        received = self.space.embed(torch.zeros(1, self.space.width)).shape[-1]
        if self.convolutional:
            encoder = conv_encoder(shape, self.channels, hidden, numbers, act, generator)
            decoders = [conv_decoder(received, hidden, self.channels, shape, act, generator) for _ in range(self.decoders)]
        else:
            encoder = mlp_encoder(shape, hidden, numbers, act, generator)
            decoders = [mlp_decoder(received, hidden, shape, act, generator) for _ in range(self.decoders)]
        return VAEModule(Encoder(encoder), decoders, latent)

    def check_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The shape of observations, if they can be modelled.

        Raises:
            ModelError: an empty shape, one that is not (C, H, W) for a `convolutional` model, or fewer numbers than latent
                dimensions.
        """
        shape = tuple(shape)
        if not shape or min(shape) < 1:
            raise ModelError(
                f"observations of shape {shape} cannot be modelled; expected at least one number, e.g. (64,) or (1, 28, 28)."
            )
        if self.convolutional and (len(shape) != 3 or min(shape[1:]) < 2):
            raise ModelError(
                f"a convolutional VAE needs images (C, H, W), H and W at least 2; got {shape}: use fully connected networks "
                "(--mlp, convolutional=False)."
            )
        if self.space.dim > math.prod(shape):
            raise ModelError(
                f"a latent space of {self.space.dim} dimensions has no geometry in observations of {math.prod(shape)} numbers: "
                f"take at most {math.prod(shape)} latent dimensions (--latent-dim, latent=)."
            )
        return shape


class Encoder(nn.Module):
    """Observations `(N, *shape)` to the numbers `(N, K)` that make a posterior, mean and log-variance of Gaussians."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


class VAEModule(nn.Module):
    """One encoder, a latent space, S decoders; decoders give the mean of a Gaussian or the logits of a Bernoulli likelihood."""

    def __init__(self, encoder: nn.Module, decoders: Sequence[nn.Module], latent: Latent) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoders = nn.ModuleList(decoders)
        self.latent = latent

    def mean(self, x: Tensor) -> Tensor:
        """The centre of the posterior, `(N, *shape) -> (N, width)`: its mean on a Euclidean latent space."""
        return self.latent.family.place(self.encoder(x))

    def posterior(self, x: Tensor) -> Distribution:
        """The posteriors of observations `(N, *shape)`, of batch shape `(N,)`."""
        return self.latent.family.posterior(self.encoder(x))

    def trained(self, ensemble: Ensemble) -> list[nn.Parameter]:
        """What is trained: all weights, those of the decoders as the ensemble holds them."""
        return [*self.encoder.parameters(), *self.latent.parameters(), *ensemble.parameters()]

    def ensemble(self) -> Ensemble:
        """The decoders as one computation for training."""
        first = self.decoders[0]
        stackable = isinstance(first, nn.Sequential) and isinstance(first[0], nn.Linear) and isinstance(first[-1], nn.Unflatten)
        return StackedPerceptrons(self.decoders) if stackable else SeparateDecoders(self.decoders)


def negative_elbo(
    spec: VAE, module: VAEModule, ensemble: Ensemble, x: Tensor, *, split: bool, beta: float | None = None
) -> Tensor:
    """The objective of `VAE`, a scalar in nats per observation (without the likelihood's constants).

    `x (N, *shape)`; latent points are drawn with torch's global generator. With `split`, decoder s sees part s of the N
    observations, which S must divide; otherwise every decoder sees all of them. `beta` is the specification's unless given.
    """
    members, latent = spec.decoders, module.latent
    z, kl = latent.family.drawn(module.encoder(x))
    z = latent.space.embed(z)
    if split:
        z, target = z.unflatten(0, (members, -1)), x.unflatten(0, (members, -1))  # (S, N/S, d), (S, N/S, *shape)
    else:
        z, target = z.expand(members, *z.shape), x.expand(members, *x.shape)  # (S, N, d), (S, N, *shape)
    decoded = ensemble(z)
    if spec.likelihood == "gaussian":
        misfit = 0.5 / spec.sigma**2 * (decoded - target).square().sum()
    else:
        misfit = F.binary_cross_entropy_with_logits(decoded, target, reduction="sum")
    return misfit / (z.shape[0] * z.shape[1]) + (spec.beta if beta is None else beta) * kl.sum() / x.shape[0]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _latent(value: object) -> int | Explicit:
    if isinstance(value, Explicit):
        if isinstance(value, Euclidean):
            return value.n
        return from_description(described(value))
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise OptionError(
            f"VAE got latent={_shown(value)}; expected a whole number of at least 1, or an explicit space such as eg.Sphere(2)."
        )
    return value


def _written(value: Any) -> Any:
    if isinstance(value, Explicit):
        return described(value)
    return list(value) if isinstance(value, tuple) else value


def _whole(name: str, value: object, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise OptionError(f"VAE got {name}={_shown(value)}; expected a whole number of at least {least}.")


def _positive(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= sys.float_info.max:
        raise OptionError(f"VAE got {name}={_shown(value)}; expected a positive finite number.")
    return float(value)


def _widths(name: str, value: object) -> tuple[int, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise OptionError(f"VAE got {name}={_shown(value)}; expected a sequence of whole numbers, e.g. (256, 256).")
    for width in value:
        _whole(name, width, 1)
    return tuple(value)
