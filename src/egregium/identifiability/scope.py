r"""The scope ledger: what of a relation survives retraining, by theorem, under which further assumption, or not at all.

Trainings `a`, `b` that give the same density of data are related by `A_ab = f_b^{-1} o f_a`, provided that the noise can be
deconvolved (A1), `f` is injective (A2) with a Jacobian of full rank (A3), and the images agree (A4, which follows from A1).
What decides, in this order:

- **relation**. Theorem 1: `A_ab` is an isometry of the pullback metrics, so what the metric alone determines is
  identifiable. What depends on `f(z)` alone (the decoded chord) is identifiable because `f_b(A z) = f_a(z)`, without any
  metric. What is read off the coordinates (Euclidean distances, straight lines) is not; Corollary 2: only a flat image
  could make it so.
- **likelihood** (A1). The law of `f(z)` can be recovered from that of `x` for Gaussian noise of known sigma (its
  characteristic function has no zeros), Poisson (mixtures are identifiable: Teicher 1961) and negative binomial noise of
  known dispersion (a Poisson whose log-rate has log-gamma noise of known law, whose characteristic function has no zeros).
  A Bernoulli or categorical observation of `D` entries has finitely many probabilities, from which a law on a continuum is
  in general not recovered. Nor is a law of means and variances together from Gaussian observations, since a wide Gaussian is
  itself a mixture of narrower ones. Independent columns of several kinds allow what the weakest of them allows.
- **ensemble**. The theorem is about one decoder. It covers the expected metric of several, the pullback of the stacked
  decoder `(f_1 .. f_S) / sqrt(S)`, and the mean decoder, only if one `A` serves all members in the same pairing; as a
  mixture likelihood each member may have its own.
- **endpoint**. The theorem compares `z` with `A z`. `argmin_z |f(z) - x|` gives such points, because the nearest point of
  the image does not depend on how it is drawn. The encoder's mean does not in general, not even for exact posteriors,
  because a mean does not commute with a nonlinear map.

References:
    Syrota et al. 2025, arXiv 2502.13757 (Theorem 1, Corollaries 1 and 2); Teicher 1961, Annals of Mathematical Statistics 32,
    244-248.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from egregium.errors import ModelError, OptionError
from egregium.protocols import Relation, Scale
from egregium.spaces.charts import Columns

Verdict = Literal["by theorem", "under assumption", "no"]
Likelihood = Literal["gaussian", "gaussian with scale", "bernoulli", "categorical", "poisson", "negative binomial", "unknown"]
Members = Literal["single", "expected", "mean", "mixture"]
Endpoint = Literal["encoder", "projection"]

POSTER = "Syrota et al. 2025, arXiv 2502.13757"


@dataclass(frozen=True)
class Scope:
    """What can be said of one relation of one model.

    Attributes:
        identifiable: "by theorem", "under assumption" or "no".
        assumption: what it rests on; where not identifiable, why. A sentence or several.
        scale: scale type, which selects the statistic of dispersion.
        invariant_under: the maps of latent space that leave it unchanged.
        source: where this is proved or said.
        likelihood, ensemble, endpoint: what the verdict is about; `endpoint` is None for points that correspond exactly.
    """

    relation: str
    identifiable: Verdict
    assumption: str
    scale: Scale
    invariant_under: str
    source: str
    likelihood: Likelihood
    ensemble: Members
    endpoint: Endpoint | None

    @property
    def sentence(self) -> str:
        """The verdict in words.

        >>> scope("gaussian", "euclidean").sentence.split(".")[0]
        'euclidean is not identifiable'
        """
        verdict = {
            "by theorem": "is identifiable by theorem",
            "under assumption": "is identifiable only under assumptions that training does not ensure",
            "no": "is not identifiable",
        }[self.identifiable]
        return f"{self.relation} {verdict}. {self.assumption}"


@dataclass(frozen=True)
class _Entry:
    """What is known of a relation by itself: `reason` says what it rests on, or why it is not identifiable."""

    identifiable: bool
    scale: Scale
    invariant_under: str
    reason: str
    source: str
    ensemble: Members | None = None  # where the relation's name fixes it


_MANIFOLD = (
    "It rests on trainings that reach the same density of data with a decoder that is injective (A2) and whose Jacobian has "
    "full rank (A3)."
)
_COORDINATES = (
    "It is read off the coordinates, which another training may bend; it could be identifiable only if the decoder's image "
    "is flat (Corollary 2), and then only if every training draws it without distortion."
)
_FLAT = f"{POSTER}, Corollary 2"
_THEOREM = f"{POSTER}, Theorem 1"
_DISTANCE = _Entry(True, "ratio", "isometries", _MANIFOLD, f"{POSTER}, Theorem 1 and Corollary 1")

_RELATIONS = {
    "euclidean": _Entry(False, "ratio", "rigid motions", _COORDINATES, _FLAT),
    "euclidean_scaled": _Entry(False, "ratio", "similarities", _COORDINATES, _FLAT),
    "euclidean_whitened": _Entry(False, "ratio", "affine maps", _COORDINATES, _FLAT),
    "euclidean_aligned": _Entry(False, "ratio", "affine maps", _COORDINATES, _FLAT),
    "chord": _Entry(
        True,
        "ratio",
        "isometries that come from reparametrisation",
        "It rests on trainings that reach the same density of data with an injective decoder (A2), so that points correspond; "
        "as it depends on the decoded points alone, no Jacobian enters.",
        f"{POSTER}: f_b(A z) = f_a(z), by the definition of A",
    ),
    "straight_length": _Entry(
        False,
        "ratio",
        "affine maps",
        "A nonlinear A does not map straight lines to straight lines, so that each training measures another curve.",
        "the definition of A: only the lengths of curves that correspond through it agree",
    ),
    "distance": _DISTANCE,
    "geodesic": _DISTANCE,
    "geodesic_one": _Entry(True, "ratio", "isometries", _MANIFOLD, f"{POSTER}, Theorem 1 and Corollary 1", "single"),
    "geodesic_mean": _Entry(True, "ratio", "isometries", _MANIFOLD, f"{POSTER}, Theorem 1 and Corollary 1", "mean"),
    "angle": _Entry(
        True,
        "circular",
        "isometries and scaling",
        f"{_MANIFOLD} The shortest curves from the vertex to both other points must be unique.",
        _THEOREM,
    ),
    "density": _Entry(
        True,
        "interval",
        "isometries that carry the prior along",
        f"{_MANIFOLD} Then A carries one prior to the other, and the density against the Riemannian volume agrees; a change of "
        "the metric's unit adds one constant.",
        _THEOREM,
    ),
    "variance": _Entry(
        True,
        "ratio",
        "isometries",
        f"{_MANIFOLD} The points of the population must correspond, as a whole and not one by one.",
        _THEOREM,
    ),
    "wasserstein": _Entry(
        True,
        "ratio",
        "isometries",
        f"{_MANIFOLD} Both clouds must correspond, each as a whole and not point by point.",
        _THEOREM,
    ),
    "gromov_wasserstein": _Entry(
        True,
        "ratio",
        "isometries of either space",
        f"{_MANIFOLD} Each cloud must correspond as a whole; its plan is identifiable up to the isometries that map a cloud to "
        "itself.",
        _THEOREM,
    ),
    "log_volume": _Entry(
        False,
        "interval",
        "isometries, as a density",
        "It is the density of volume with respect to the coordinates, and changes by log |det J_A|; the volume of a region and "
        "the density of the prior against it are identifiable.",
        _THEOREM,
    ),
    "ball_volume": _Entry(
        True,
        "ratio",
        "isometries",
        f"{_MANIFOLD} A geodesic ball is told by its centre and radius alone, so that A carries it along.",
        _THEOREM,
    ),
    "flatness": _Entry(
        True,
        "ratio",
        "isometries",
        f"{_MANIFOLD} Only a flat image could have an identifiable Euclidean metric.",
        _FLAT,
    ),
    "independent_draw": _Entry(
        False,
        "ratio",
        "none",
        "An independent decoder at every point of the curve makes the length grow with the number of points without limit, so "
        "that no metric belongs to it and the theorem does not speak of it.",
        "the estimator of arXiv 2408.07507",
        "mixture",
    ),
}

_LIKELIHOODS: dict[Likelihood, str] = {  # from strong to weak
    "gaussian": "",
    "poisson": "",
    "negative binomial": "",
    "gaussian with scale": (
        "Equal densities of data must mean equal laws of f(z) (A1), which a Gaussian likelihood of learned variance does not "
        "ensure."
    ),
    "bernoulli": "Equal densities of data must mean equal laws of f(z) (A1), which a Bernoulli likelihood does not ensure.",
    "categorical": "Equal densities of data must mean equal laws of f(z) (A1), which a categorical likelihood does not ensure.",
    "unknown": (
        "Equal densities of data must mean equal laws of f(z) (A1), which depends on the likelihood; the model does not state "
        "one (LatentModel(..., chart=))."
    ),
}
_CHARTS: dict[str, Likelihood] = {
    "Gaussian": "gaussian",
    "GaussianWithScale": "gaussian with scale",
    "Bernoulli": "bernoulli",
    "Categorical": "categorical",
    "Poisson": "poisson",
    "NegativeBinomial": "negative binomial",
}
_ENSEMBLES: dict[Members, str] = {
    "single": "",
    "expected": "One A must serve all decoders of the ensemble in the same pairing; as a mixture they are not identifiable.",
    "mean": "One A must serve all decoders of the ensemble in the same pairing, so that it serves their mean.",
}
_MIXTURE = (
    "As a mixture likelihood the decoders of an ensemble are not identifiable: each may be redrawn by a map of its own, and "
    "none serves all."
)
_ENDPOINTS: dict[Endpoint | None, str] = {
    None: "",
    "projection": "",
    "encoder": (
        "The encoders must send an observation to points that decode alike, f_a(encode_a(x)) = f_b(encode_b(x)), which "
        'training does not ensure; the endpoint "projection" needs no such assumption.'
    ),
}
_NEAREST = "The observation must have a single nearest point on the image of the decoder, as almost all have."


def scope(
    model: object, relation: str | Relation, *, endpoint: Endpoint | None = None, ensemble: Members | None = None
) -> Scope:
    """Whether a relation can be identified from data: by theorem, under further assumptions, or not.

    The verdict is the weakest of those of relation, likelihood, ensemble and endpoint (see the head of this module). It speaks
    of what holds in the limit of perfect training; how far trained models are from it is measured by a study.

    Args:
        model: a model with a `chart` (of `egregium.spaces.charts`; without one its likelihood is unknown) and `decoders`, a
            chart, or the name of a likelihood: "gaussian" (known sigma), "gaussian with scale" (learned sigma), "bernoulli",
            "categorical", "poisson", "negative binomial" (known dispersion), "unknown". Of `Columns`, the weakest likelihood.
        relation: its name in a study's table, or a relation of your own, which is judged by its `invariant_under`: identifiable
            if that names isometries.
        endpoint: how latent points are found for an observation, "encoder" or "projection"; None for points that correspond.
        ensemble: how several decoders are used: "single", "expected" (metric), "mean" (decoder) or "mixture"; by default as the
            relation's name says, else "expected" for a model with several decoders.

    Raises:
        ModelError: `model` is neither a model, a chart nor the name of a likelihood.
        OptionError: unknown relation, endpoint or ensemble.

    References:
        Syrota et al. 2025, arXiv 2502.13757.

    >>> scope("gaussian", "geodesic").identifiable
    'by theorem'
    >>> scope("gaussian", "geodesic", endpoint="encoder").identifiable
    'under assumption'
    """
    likelihood = _likelihood(model)
    name, entry = _entry(relation)
    if endpoint not in _ENDPOINTS:
        raise OptionError(f"scope(endpoint=): expected one of {', '.join(get_args(Endpoint))} or None; got {endpoint!r}.")
    if ensemble is not None and ensemble not in get_args(Members):
        raise OptionError(f"scope(ensemble=): expected one of {', '.join(get_args(Members))} or None; got {ensemble!r}.")
    members = ensemble or _members(model, entry)
    if not entry.identifiable or members == "mixture":
        verdict: Verdict = "no"
        said = [entry.reason if not entry.identifiable else _MIXTURE]
    else:
        assumed = [text for text in (_LIKELIHOODS[likelihood], _ENSEMBLES[members], _ENDPOINTS[endpoint]) if text]
        verdict = "under assumption" if assumed else "by theorem"
        said = [entry.reason, *assumed, *([_NEAREST] if endpoint == "projection" else [])]
    return Scope(
        relation=name,
        identifiable=verdict,
        assumption=" ".join(said),
        scale=entry.scale,
        invariant_under=entry.invariant_under,
        source=entry.source,
        likelihood=likelihood,
        ensemble=members,
        endpoint=endpoint,
    )


def scale_of(relation: str) -> Scale | None:
    """Scale type of a relation that the ledger knows by its name in a study's table, else None.

    >>> scale_of("angle")
    'circular'
    """
    known = _known(relation)
    return None if known is None else known.scale


def _likelihood(model: object) -> Likelihood:
    if isinstance(model, str):
        for name in get_args(Likelihood):
            if model == name:
                return name
        raise ModelError(f"scope: unknown likelihood {model!r}; expected one of {', '.join(get_args(Likelihood))}, or a model.")
    kind = type(model).__name__
    if kind in _CHARTS or isinstance(model, Columns):
        return _of_chart(model)
    if not hasattr(model, "chart"):
        raise ModelError(
            f"scope: a {kind} has no `chart` that tells its likelihood; give a LatentModel, a chart or the name of a "
            f"likelihood ({', '.join(get_args(Likelihood))})."
        )
    return _of_chart(getattr(model, "chart"))  # noqa: B009 (any object with a chart will do)


def _of_chart(chart: object) -> Likelihood:
    if isinstance(chart, Columns):
        return max((_of_chart(part) for part, _ in chart.parts), key=list(_LIKELIHOODS).index)
    return _CHARTS.get(type(chart).__name__, "unknown")


def _entry(relation: str | Relation) -> tuple[str, _Entry]:
    if not isinstance(relation, str | Relation):
        raise OptionError(
            f"scope: a relation is one of {', '.join(_RELATIONS)}, or an object with name, arity, scale, invariant_under and a "
            f"call; got {relation!r}."
        )
    name = relation if isinstance(relation, str) else relation.name
    known = _known(name)
    if known is not None:
        return name, known
    if isinstance(relation, str):
        raise OptionError(f"scope: unknown relation {name!r}; expected one of {', '.join(_RELATIONS)}, or a relation object.")
    if "isometr" in relation.invariant_under:
        return name, _Entry(True, relation.scale, relation.invariant_under, _MANIFOLD, _THEOREM)
    reason = f"Its invariance is stated as {relation.invariant_under!r}, and another training is related by any isometry."
    return name, _Entry(False, relation.scale, relation.invariant_under, reason, _THEOREM)


def _known(name: str) -> _Entry | None:
    stem, _, points = name.rpartition("_")
    return _RELATIONS.get(stem if stem == "independent_draw" and points.isdigit() else name)


def _members(model: object, entry: _Entry) -> Members:
    decoders = getattr(model, "decoders", None)
    if decoders is not None and len(decoders) == 1 and entry.ensemble != "mixture":
        return "single"
    return entry.ensemble or ("expected" if decoders is not None else "single")
