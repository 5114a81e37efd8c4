"""The spaces that one model gives: of all its decoders, of their mean, of their mean in the units of the data."""

from functools import partial

from egregium.errors import ModelError
from egregium.protocols import Model
from egregium.spaces import Explicit
from egregium.spaces.charts import expected
from egregium.spaces.pullback import Pullback


def require_models(*models: object) -> None:
    """Check that these are models of the library.

    Raises: `ModelError`.
    """
    for model in models:
        if not isinstance(model, Model):
            raise ModelError(f"{type(model).__name__} is no model: wrap it as eg.LatentModel(encode, decode).")


def base(model: Model) -> Explicit | None:
    """The explicit latent space that a model lives on; None where it is Euclidean."""
    return getattr(model, "base", None)


def expected_space(model: Model) -> Pullback:
    """The expected metric of all decoders."""
    return Pullback(list(model.decoders), base=base(model), chart=model.chart)


def mean_space(model: Model) -> Pullback:
    """The metric of the mean decoder."""
    return Pullback(list(model.decoders), base=base(model), chart=model.chart, uncertainty=_mean_only(model))


def observed_space(model: Model) -> Pullback:
    """The mean decoder in the units of the observations: probabilities where it gives logits, means where rates."""
    return Pullback(list(model.decoders), base=base(model), chart=partial(expected, model.chart), uncertainty=_mean_only(model))


def _mean_only(model: Model) -> float | None:
    return 0.0 if len(model.decoders) > 1 else None
