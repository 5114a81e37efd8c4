"""The scope ledger: what the theory says of every relation, and that verdicts only weaken."""

from dataclasses import FrozenInstanceError, dataclass
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from egregium.errors import ModelError, OptionError
from egregium.identifiability.scope import Endpoint, Likelihood, Members, scope
from egregium.protocols import Measured, Scale, Space
from egregium.relations.angle import Angle
from egregium.relations.density import Density
from egregium.relations.distance import Chord, GeodesicDistance, StraightLength
from egregium.relations.independent_draw import IndependentDrawLength
from egregium.relations.volume import LogVolume
from egregium.spaces.charts import (
    Bernoulli,
    Categorical,
    Chart,
    Columns,
    Gaussian,
    GaussianWithScale,
    NegativeBinomial,
    Poisson,
)

INTRINSIC = (
    "geodesic", "geodesic_one", "geodesic_mean", "distance", "angle", "density", "ball_volume", "flatness",
    "variance", "wasserstein", "gromov_wasserstein",
)  # fmt: skip
COORDINATES = ("euclidean", "euclidean_scaled", "euclidean_whitened", "euclidean_aligned", "straight_length", "log_volume")
DRAWS = ("independent_draw_32", "independent_draw_256")
RELATIONS = (*INTRINSIC, "chord", *COORDINATES, *DRAWS)
ORDER = ("no", "under assumption", "by theorem")


@dataclass(frozen=True)
class Trained:
    chart: object = None
    decoders: tuple = (None,)
    prior: object = None
    name: str = "model"


@dataclass
class Own:
    invariant_under: str
    name: str = "mine"
    arity: int = 1
    scale: Scale = "signed"

    def __call__(self, space: Space, *points: object) -> Measured:
        raise NotImplementedError


@pytest.mark.parametrize("likelihood", ["gaussian", "poisson", "negative binomial"])
@pytest.mark.parametrize("relation", ["geodesic", "distance", "angle", "density", "chord"])
def test_theorem(likelihood: str, relation: str):
    assert scope(likelihood, relation, ensemble="single").identifiable == "by theorem"
    assert scope(likelihood, relation, ensemble="single", endpoint="projection").identifiable == "by theorem"


@pytest.mark.parametrize("likelihood", ["gaussian with scale", "bernoulli", "categorical", "unknown"])
def test_likelihoods_whose_noise_cannot_be_deconvolved(likelihood: str):
    found = scope(likelihood, "geodesic")
    assert found.identifiable == "under assumption" and "A1" in found.assumption


@pytest.mark.parametrize("relation", [*COORDINATES, *DRAWS])
@pytest.mark.parametrize("likelihood", get_args(Likelihood))
def test_never_identifiable(relation: str, likelihood: str):
    assert scope(likelihood, relation).identifiable == "no"


def test_euclidean_names_flatness():
    found = scope("gaussian", "euclidean")
    assert "flat" in found.assumption and "Corollary 2" in found.source
    assert [scope("gaussian", name).invariant_under for name in COORDINATES[:5]] == [
        "rigid motions", "similarities", "affine maps", "affine maps", "affine maps",
    ]  # fmt: skip


def test_the_chord_needs_no_jacobian():
    assert "A3" not in scope("gaussian", "chord").assumption and "A3" in scope("gaussian", "geodesic").assumption


@pytest.mark.parametrize("relation", [*INTRINSIC, "chord"])
def test_the_encoder_is_an_assumption(relation: str):
    found = scope("gaussian", relation, ensemble="single", endpoint="encoder")
    assert found.identifiable == "under assumption" and "encode" in found.assumption


@pytest.mark.parametrize("relation", [*INTRINSIC, "chord"])
def test_ensembles(relation: str):
    assert scope("gaussian", relation, ensemble="expected").identifiable == "under assumption"
    assert scope("gaussian", relation, ensemble="mean").identifiable == "under assumption"
    assert scope("gaussian", relation, ensemble="mixture").identifiable == "no"


def test_scales():
    expected = {"angle": "circular", "density": "interval", "log_volume": "interval"}
    for name in RELATIONS:
        assert scope("gaussian", name).scale == expected.get(name, "ratio")


@pytest.mark.parametrize(
    ("chart", "likelihood"),
    [(Gaussian(0.5), "gaussian"), (Bernoulli(), "bernoulli"), (None, "unknown"), (Chart(lambda x: x), "unknown")],
)
def test_likelihood_of_a_model_is_read_off_its_chart(chart: object, likelihood: str):
    assert scope(Trained(chart), "geodesic").likelihood == likelihood
    if likelihood in ("gaussian", "bernoulli"):
        assert scope(chart, "geodesic").likelihood == likelihood


def test_columns_are_as_weak_as_their_weakest_part():
    strong = Columns((Gaussian(0.5), 1), (Poisson(), 2), (Columns((NegativeBinomial(2.0), 1)), 1))
    assert scope(strong, "geodesic").identifiable == scope(Trained(strong), "geodesic").identifiable == "by theorem"
    for weak, likelihood in (
        (Bernoulli(), "bernoulli"),
        (Categorical(), "categorical"),
        (GaussianWithScale(), "gaussian with scale"),
        (Chart(lambda x: x), "unknown"),
    ):
        found = scope(Columns((weak, 2), (Poisson(), 1)), "geodesic")
        assert (found.likelihood, found.identifiable) == (likelihood, "under assumption")


def test_ensemble_of_a_model_is_read_off_its_decoders_and_the_relation():
    many, single = Trained(Gaussian(), (None, None)), Trained(Gaussian())
    names = ("geodesic", "geodesic_one", "geodesic_mean", "chord", "independent_draw_32")
    assert [scope(many, name).ensemble for name in names] == ["expected", "single", "mean", "expected", "mixture"]
    assert [scope(single, name).ensemble for name in names] == ["single", "single", "single", "single", "mixture"]
    assert scope(many, "geodesic").identifiable == "under assumption"
    assert scope(many, "geodesic_one").identifiable == scope(single, "geodesic").identifiable == "by theorem"


@given(
    relation=st.sampled_from(RELATIONS),
    likelihood=st.sampled_from(get_args(Likelihood)),
    endpoint=st.sampled_from([None, *get_args(Endpoint)]),
    ensemble=st.sampled_from(get_args(Members)),
)
def test_more_is_assumed_the_further_one_is_from_the_theorem(
    relation: str, likelihood: Likelihood, endpoint: Endpoint | None, ensemble: Members
):
    found = scope(likelihood, relation, endpoint=endpoint, ensemble=ensemble)
    best = scope("gaussian", relation, ensemble="single")
    assert ORDER.index(found.identifiable) <= ORDER.index(best.identifiable)
    assert found.assumption.endswith(".") and found.source and relation in found.sentence
    assert (found.relation, found.likelihood, found.endpoint, found.ensemble) == (relation, likelihood, endpoint, ensemble)


def test_own_relations_are_judged_by_their_invariance():
    assert scope("gaussian", Own("isometries")).identifiable == "by theorem"
    assert scope("gaussian", Own("affine maps")).identifiable == "no"
    assert scope("gaussian", Own("affine maps", name="geodesic")).identifiable == "by theorem"  # the ledger knows that name


@pytest.mark.parametrize("kind", [Angle, Density, Chord, GeodesicDistance, StraightLength, LogVolume, IndependentDrawLength])
def test_ledger_says_what_the_relations_say(kind: type):
    found = scope("gaussian", "independent_draw_32" if kind is IndependentDrawLength else kind.name)
    assert (found.scale, found.invariant_under) == (kind.scale, kind.invariant_under)


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        scope("gaussian", "geodesic").identifiable = "no"  # type: ignore[misc]


def test_unknown_names_are_a_sentence():
    with pytest.raises(OptionError, match="unknown relation 'lenght'; expected one of euclidean"):
        scope("gaussian", "lenght")
    with pytest.raises(OptionError, match="unknown relation 'independent_draw_many'"):
        scope("gaussian", "independent_draw_many")
    for no_relation in (None, 7, ["geodesic"]):
        with pytest.raises(OptionError, match=r"a relation is one of euclidean.* or an object with name"):
            scope("gaussian", no_relation)  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="endpoint"):
        scope("gaussian", "geodesic", endpoint="middle")  # type: ignore[arg-type]
    with pytest.raises(OptionError, match="ensemble"):
        scope("gaussian", "geodesic", ensemble="all")  # type: ignore[arg-type]
    with pytest.raises(ModelError, match="unknown likelihood 'normal'"):
        scope("normal", "geodesic")
    with pytest.raises(ModelError, match="a list has no `chart`"):
        scope([], "geodesic")
