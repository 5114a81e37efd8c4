"""The metric that a decoder, or an ensemble of decoders, pulls back from data space."""

from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass, field
from itertools import zip_longest

import torch
from torch import Tensor, nn

from egregium.errors import DecoderError, OptionError, ShapeError
from egregium.numerics.derivatives import jacobian, orthonormal_frame
from egregium.spaces import charts
from egregium.spaces.decoder import PROBES, Decoder
from egregium.spaces.explicit import Explicit
from egregium.spaces.immersed import Immersed
from egregium.spaces.points import flat, require_points
from egregium.spaces.reduction import reduced

Decode = Callable[[Tensor], Tensor]
VECTORS = ("u", "v", "value", "slope")  # names of arguments that are no points


@dataclass(frozen=True, eq=False, repr=False)
class Pullback(Immersed):
    r"""Latent space with the metric `G(z) = J^T J` of `phi o f`, `f` the decoder and `phi` the chart.

    With a list of S decoders the space is the pullback of the stacked decoder, `E_s[J_s^T J_s]`; `uncertainty=lam` weighs
    their disagreement, `J_mu^T J_mu + lam Cov(J)`: 1 (the default for lists) is the expected metric, 0 the mean decoder. They
    must decode one latent space, as those of one encoder do; separate trainings do not: compare these with `eg.Study`.

    Isometries leave every relation computed on it unchanged; with an injective decoder that includes every
    reparametrisation of the latent space (Syrota et al. 2025, arXiv 2502.13757).

    Args:
        decoder: callable `(N, d) -> (N, *out)`, or a list (or `nn.ModuleList`) of them. Modules run in evaluation mode.
        dim: number of latent dimensions d; without it, it is read off the first points that are measured.
        base: explicit latent space that the decoder lives on, such as `Sphere(2)`; points have its coordinates, and the
            decoder receives `base.embed(z)`. Where the base has more coordinates than dimensions, the metric is the decoder's
            along it, and a unit across, of which geodesics between points of the base see nothing.
        chart: coordinates of data space, from `eg.charts`; the decoder's own output without it.
        uncertainty: weight `lam >= 0` of the decoders' disagreement, for lists only.

    Raises: `DecoderError` where a decoder is not a deterministic, row by row, differentiable function; `OptionError`.

    >>> paraboloid = Pullback(lambda z: torch.cat([z, (z**2).sum(-1, keepdim=True)], -1), dim=2)
    >>> paraboloid.metric(torch.tensor([[1.0, 0.0]])).tolist()
    [[[5.0, 0.0], [0.0, 1.0]]]
    """

    decoder: Decode | Sequence[Decode] | nn.ModuleList
    _: KW_ONLY
    dim: int = None  # type: ignore[assignment]
    base: Explicit | None = None
    chart: Decode | None = None
    uncertainty: float | None = None
    members: tuple[Decoder, ...] = field(init=False, repr=False)
    _met: bool = field(init=False, repr=False, default=False)

    def __post_init__(self) -> None:
        # An nn.ModuleList is a sequence of decoders, though it is a module and so looks callable.
        decoders = tuple(self.decoder) if isinstance(self.decoder, Sequence | nn.ModuleList) else (self.decoder,)
        if not decoders:
            raise DecoderError("Pullback needs at least one decoder; got an empty list.")
        if self.base is not None and not isinstance(self.base, Explicit):
            raise OptionError(f"Pullback(base=...) takes an explicit space, such as Sphere(2); got {type(self.base).__name__}.")
        if self.base is not None and self.dim not in (None, self.base.dim):
            raise OptionError(f"Pullback: dim={self.dim} contradicts base of dimension {self.base.dim}; give one of them.")
        if self.dim is not None and self.dim < 1:
            raise OptionError(f"Pullback(dim=...) must be at least 1; got {self.dim}.")
        if self.chart is not None and not callable(self.chart):
            raise OptionError(f"Pullback(chart=...) is one of eg.charts, such as eg.charts.Gaussian(0.2); got {self.chart!r}.")
        if self.uncertainty is not None and not (self.uncertainty >= 0 and len(decoders) > 1):
            found = f"{self.uncertainty}, with {len(decoders)} decoder{'s' if len(decoders) > 1 else ''}"
            raise OptionError(f"Pullback(uncertainty=...) is a weight >= 0 for a list of two or more decoders; got {found}.")
        object.__setattr__(self, "members", tuple(one if isinstance(one, Decoder) else Decoder(one) for one in decoders))
        dim = self.dim if self.base is None else self.base.dim
        object.__setattr__(self, "dim", dim)
        like = self.members[0].like
        if dim is not None and like is not None:
            self._first_contact(like.new_zeros(0, self.width))

    def __repr__(self) -> str:
        count = f"{len(self.members)} decoder{'s' if len(self.members) > 1 else ''}"
        options = {"dim": self.dim, "chart": self.chart, "uncertainty": self.uncertainty}
        if self.base is not None:
            options = {**options, "dim": None, "base": self.base}
        return f"Pullback({', '.join([count, *(f'{name}={value}' for name, value in options.items() if value is not None)])})"

    @property
    def width(self) -> int:
        """Numbers per point, the base's, else equal to `dim`; known from `dim=` or from the first points measured."""
        if self.base is not None:
            return self.base.width
        if self.dim is None:
            raise OptionError("this Pullback has not seen a point yet, so its dimension is unknown: pass dim=.")
        return self.dim

    def prepare(self, *points: Tensor, names: Sequence[str] = ()) -> tuple[Tensor, ...]:
        require_points(*points, width=None if self.dim is None else self.width, names=names)
        like = self.members[0].like
        if like is not None:
            points = tuple(z.to(dtype=like.dtype, device=like.device) for z in points)
        if not self._met:
            self._first_contact(flat(points[0])[:PROBES])
        if self.base is not None:
            self.base.require_inside(*(z for z, name in zip_longest(points, names[: len(points)]) if name not in VECTORS))
        return points

    def views(self, z: Tensor) -> Tensor:
        """What each of the S decoders makes of points `(N, d)`, in the chart's coordinates: `(N, S, D)`."""
        return torch.stack([self._charted(one, z) for one in self.members], 1)

    def immerse(self, z: Tensor) -> Tensor:
        x = self.observed(z)
        return x if self.base is None or self.base.width == self.base.dim else torch.cat([x, self.base.off(z).to(x)], -1)

    def tangent_jacobian(self, z: Tensor) -> Tensor:
        """Jacobian `(N, D, d)` of what is observed, of prepared points `(N, width)`.

        By their coordinates, or where a base has more of these than dimensions by its frame.
        """
        j = jacobian(self.observed, z)
        return j if self.base is None or self.base.width == self.base.dim else j @ self.base.frame(z)

    def observed(self, z: Tensor) -> Tensor:
        """What all decoders together make of prepared points `(N, width)`, in the chart's coordinates, `(N, D)`."""
        if len(self.members) == 1:
            return self._charted(self.members[0], z)
        x = self.views(z)
        share = x.shape[1] ** -0.5
        if self.uncertainty in (None, 1.0):
            return (x * share).flatten(1)
        mean = x.mean(1)
        if self.uncertainty == 0:
            return mean
        spread = (x - mean[:, None]) * (share * float(self.uncertainty or 0.0) ** 0.5)
        return torch.cat([mean, spread.flatten(1)], 1)

    def least_distance(self, z0: Tensor, z1: Tensor) -> Tensor:
        """A lower bound `(N,)` of the distance of prepared points `(N, d)`.

        Straight through ambient space; of charts with a distance of their own, this between the distributions at both ends,
        the root of its mean square over the decoders of a list, by Minkowski's inequality.
        """
        chart = self.chart
        if chart is None or not hasattr(chart, "distance") or not self._stacked:
            return super().least_distance(z0, z1)
        seen = self._received(z0), self._received(z1)
        squares = [charts.distance(chart, *map(one.raw, seen)) ** 2 for one in self.members]
        return torch.stack(squares).mean(0).sqrt()

    @property
    def _stacked(self) -> bool:
        """Whether the immersion is all decoders side by side."""
        return len(self.members) == 1 or self.uncertainty in (None, 1.0)

    def economical(self) -> "Pullback":
        """The same metric through fewer ambient numbers: linear last layers `W h + b` replaced by `R h`, `W = Q R`.

        An ambient isometry on the image, exact up to rounding; only for modules that end in a wide linear layer, without a
        chart or with one that only scales, and where no mean over decoders mixes their outputs.
        """
        linear = self.chart is None or isinstance(self.chart, charts.Gaussian)
        smaller = [reduced(one.fn) for one in self.members] if linear and self._stacked else []
        if not smaller or any(fn is None for fn in smaller):
            return self
        return Pullback([fn for fn in smaller if fn is not None], dim=self.dim, base=self.base, chart=self.chart)

    def frame(self, z: Tensor) -> Tensor:
        """Orthonormal frame, `(*batch, width, d)`, a basis vector a column, tangent to the base."""
        if self.base is None or self.base.width == self.base.dim:
            return super().frame(z)
        (z,) = self.prepare(z)
        frame = self.base.frame(z)
        r = torch.linalg.qr(self.jacobian(z) @ frame, mode="r").R
        return frame @ orthonormal_frame(r)

    def embed(self, z: Tensor) -> Tensor:
        """Coordinates that the decoder receives: those of the base, else z itself."""
        return z if self.base is None else self.base.embed(z)

    def _received(self, z: Tensor) -> Tensor:
        return z if self.base is None else self.base.embed(self.base.retracted(z))

    def decode(self, z: Tensor) -> Tensor:
        """Decoded observations `(*batch, *out)`, averaged over the decoders of a list."""
        (z,) = self.prepare(z)
        points = flat(z)
        x = torch.stack([one.raw(self._received(points)) for one in self.members]).mean(0)
        return x.reshape(*z.shape[:-1], *x.shape[1:])

    def _charted(self, decoder: Decoder, z: Tensor) -> Tensor:
        z = self._received(z)
        if self.chart is None:
            return decoder(z)
        x = decoder.raw(z)
        try:
            y = self.chart(x)
        except (RuntimeError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise DecoderError(
                f"the chart failed on the decoder's output of shape {tuple(x.shape)}: {type(error).__name__}: {error}."
            ) from error
        if not isinstance(y, Tensor) or y.ndim < 2 or len(y) != len(x):
            found = tuple(y.shape) if isinstance(y, Tensor) else type(y).__name__
            raise DecoderError(f"the chart must map {tuple(x.shape)} to one tensor ({len(x)}, *out); got {found}.")
        return y.flatten(1)

    def _first_contact(self, z: Tensor) -> None:
        """Check every decoder at seeded probes and at the points `z` `(N, width)`, and settle the dimension."""
        seeds = torch.Generator().manual_seed(0)
        if self.base is not None:
            d, seeded = self.base.dim, self.base.random(PROBES, generator=seeds, dtype=torch.float64)
        else:
            d, seeded = z.shape[-1], torch.randn(PROBES, z.shape[-1], generator=seeds, dtype=torch.float64)
        probes = torch.cat([seeded.to(z), z])
        with torch.no_grad():
            for one in self.members:
                one.check(self._received(probes))
            widths = {self._charted(one, probes[:1]).shape[-1] for one in self.members}
        if len(widths) > 1:
            raise ShapeError(f"all decoders of a list must have outputs of one size; got {sorted(widths)}.")
        if d > max(widths):
            raise DecoderError(
                f"the decoder maps {d} latent dimensions to only {max(widths)} numbers, so its metric is degenerate "
                "everywhere; fewer latent dimensions are needed."
            )
        object.__setattr__(self, "dim", d)
        object.__setattr__(self, "_met", True)
