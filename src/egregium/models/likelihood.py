"""How likely a model finds observations: importance-weighted estimates of the log-likelihood."""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, NegativeBinomial, Normal, OneHotCategorical, Poisson

from egregium.distributions.measure import log_in_coordinates
from egregium.errors import ModelError, OptionError
from egregium.models.latent_model import LatentModel, evaluating
from egregium.models.randomness import seeded
from egregium.runs.task import Report
from egregium.spaces import charts

ROWS = 1 << 13  # decoder rows at a time


def log_likelihood(model: LatentModel, x: Tensor, *, samples: int = 500, seed: int = 0, report: Report | None = None) -> Tensor:
    r"""Log-likelihood of observations `x (N, *shape)` under a model, `(N,)`, in nats.

    .. math:: \log \frac1K \sum_{k=1}^K \frac{p(x | z_k) \, p(z_k)}{q(z_k | x)}, \qquad z_k \sim q(z | x),

    which is a lower bound on average, rises with K, and tends to `log p(x)`: a density of data, so that models on different
    latent spaces compare. Of S decoders each is a model of its own, and the mean over them is given.

    Args:
        model: with `posterior`, `prior` and a `chart` that names its likelihood, as `fit` returns it.
        samples: K.
        seed: of the draws; torch's global generator is left as it was.
        report: is told `{"done": n, "total": N}` as observations are finished.

    Cost: K decoder calls and K draws an observation, in pieces that keep memory bounded.

    Raises: `ModelError` where the model has no posterior, no chart that names a likelihood, or no finite one; `TensorError`;
    `OptionError`.

    References: Burda, Grosse, Salakhutdinov 2016 (arXiv 1509.00519).
    """
    if isinstance(samples, bool) or not isinstance(samples, int) or samples < 1:
        raise OptionError(f"log_likelihood needs a whole number of samples, 1 at least; got {samples!r}.")
    if model.posterior is None:
        raise ModelError(
            f"{model.name!r} has no posterior: give LatentModel(posterior=...) a function from observations to a "
            "torch.distributions.Distribution of latent points."
        )
    x, parts, done = model.received(x), [], 0
    model.encode(x[:1])  # settles the latent dimension
    with torch.no_grad(), seeded(seed), evaluating(model.posterior):
        for rows in x.split(max(1, ROWS // samples)):
            parts.append(_estimated(model, model.posterior, rows, samples))
            done += len(rows)
            if report is not None:
                report({"done": done, "total": len(x)})
    found = torch.cat(parts)
    if not bool(torch.isfinite(found).all()):
        raise ModelError(
            f"{int((~torch.isfinite(found)).sum())} of {len(found)} observations have no finite log-likelihood under "
            f"{model.name!r}: look at their scale, and whether the posterior lies within the prior."
        )
    return found


def observed(chart: object, x: Tensor) -> Distribution:
    """The law of observations whose parameters a decoder gives as `x`, one number at a time.

    Raises: `ModelError` for charts that do not name one.

    >>> observed(charts.Gaussian(0.5), torch.zeros(3)).scale
    tensor([0.5000, 0.5000, 0.5000])
    """
    match chart:
        case charts.Gaussian(sigma):
            return Normal(x, sigma, validate_args=False)
        case charts.Bernoulli(logits):
            return Bernoulli(**{"logits" if logits else "probs": x}, validate_args=False)
        case charts.Categorical(logits):
            return OneHotCategorical(**{"logits" if logits else "probs": x}, validate_args=False)
        case charts.Poisson(log_rate):
            return Poisson(x.exp() if log_rate else x, validate_args=False)
        case charts.NegativeBinomial(theta, log_rate):
            return NegativeBinomial(theta, logits=(x if log_rate else x.log()) - math.log(theta), validate_args=False)
        case charts.GaussianWithScale(log_scale):
            mean, scale = x.chunk(2, -1)
            return Normal(mean, scale.exp() if log_scale else scale, validate_args=False)
    raise ModelError(
        f"a likelihood needs a chart that names it, one of eg.charts such as eg.charts.Gaussian(0.2); got {chart!r}."
    )


def _estimated(model: LatentModel, posterior: Callable[[Tensor], Distribution], x: Tensor, samples: int) -> Tensor:
    q = posterior(x)
    if not isinstance(q, Distribution) or q.batch_shape != (len(x),) or q.event_shape != (model.dim,):
        shapes = f" of batch {tuple(q.batch_shape)} and event {tuple(q.event_shape)}" if isinstance(q, Distribution) else ""
        raise ModelError(
            f"the posterior of {len(x)} observations must be a torch Distribution of batch shape ({len(x)},) and event shape "
            f"({model.dim},); got {type(q).__name__}{shapes}: wrap it, e.g. torch.distributions.Independent(posterior, 1)."
        )
    z = q.sample((samples,))  # (K, n, width)
    ratio = log_in_coordinates(model.prior, z) - log_in_coordinates(q, z)
    received = z if model.base is None else model.base.embed(z)
    each = []
    for decode in model.decoders:
        with evaluating(decode):
            law = observed(model.chart, decode(received.flatten(0, 1)).unflatten(0, (samples, len(x))))
        if (seen := (*law.batch_shape, *law.event_shape)) != (samples, *x.shape):
            raise ModelError(f"observations have shape {tuple(x.shape[1:])}, but decoders give the law of {tuple(seen[2:])}.")
        misfit = law.log_prob(x.to(z.dtype)).reshape(samples, len(x), -1).sum(-1)
        each.append((misfit + ratio).logsumexp(0) - math.log(samples))
    return torch.stack(each).mean(0)
