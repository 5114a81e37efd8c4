"""What can be checked of the assumptions of the theorem on one trained model, with the numbers they rest on."""

from dataclasses import dataclass

import torch
from torch import Tensor

from egregium.identifiability.scope import scope
from egregium.identifiability.views import base, mean_space, require_models
from egregium.numerics.smoothness import Smoothness, smoothness
from egregium.protocols import Model
from egregium.spaces.charts import expected
from egregium.spaces.pullback import Pullback

PROBES = 200
LINES = 16
NEAR = 0.25  # of the way to another code: straight lines of that length stay close to a base
BADLY_CONDITIONED = 1e4


@dataclass(frozen=True)
class Finding:
    """One assumption: whether it holds here (None: cannot be decided from a model), the number behind it, a sentence."""

    assumption: str
    holds: bool | None
    value: float
    sentence: str


@dataclass(frozen=True, repr=False)
class Check:
    """Findings on one model; prints as a list."""

    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Whether no finding speaks against the assumptions."""
        return all(one.holds is not False for one in self.findings)

    def __getitem__(self, assumption: str) -> Finding:
        return next(one for one in self.findings if one.assumption == assumption)

    def __str__(self) -> str:
        marks = {True: "holds", False: "FAILS", None: "open"}
        return "\n".join(f"{one.assumption:<12} {marks[one.holds]:<6} {one.sentence}" for one in self.findings)

    __repr__ = __str__


def check(model: Model, points: Tensor) -> Check:
    """Check a model at observations `(N, *shape)`: likelihood (A1), injectivity (A2), rank (A3), smoothness, encoder.

    Image equality (A4) needs a second training: see `eg.indeterminacy`. Injectivity cannot be proven from samples; a
    counterexample can be found.

    Raises: what the model's encoder and decoders raise.

    >>> from egregium.models import LatentModel
    >>> linear = torch.nn.Linear(2, 5).requires_grad_(False)
    >>> print(check(LatentModel(lambda x: x[:, :2], linear), torch.randn(50, 5))["rank"].holds)
    True
    """
    require_models(model)
    z = model.encode(points[:PROBES])
    space = mean_space(model)
    (z,) = space.prepare(z)
    with torch.no_grad():
        return Check((_likelihood(model), _injective(space, z), _rank(space, z), _smooth(space, z), _encoder(model, points, z)))


def _likelihood(model: Model) -> Finding:
    found = scope(model, "geodesic", endpoint="projection")
    holds = {"by theorem": True, "no": False}.get(found.identifiable)
    answer = {"by theorem": "yes", "no": "no"}.get(found.identifiable, "only under assumptions that training does not ensure")
    count = len(model.decoders)
    sentence = (
        f"Would perfect training settle geodesic distances? Likelihood {found.likelihood}, {count} decoder"
        f'{"s" if count > 1 else ""}: {answer}. eg.scope(model, "geodesic") says what that rests on.'
    )
    return Finding("likelihood", holds, float("nan"), sentence)


def _injective(space: Pullback, z: Tensor) -> Finding:
    """Decoded chord over latent straight-line length is small where far latent points decode to nearly the same."""
    x = space.immerse(z)
    first, second = torch.triu_indices(len(z), len(z), 1)
    apart = (z[first] - z[second]).norm(dim=-1) if space.base is None else space.base.dist(z[first], z[second])
    far = apart > apart.median()
    ratio = (x[first] - x[second]).norm(dim=-1)[far] / torch.pdist(x).median()
    least = float(ratio.min()) if far.any() else float("nan")
    sentence = (
        "Do different codes decode to different data? Of the codes that lie far apart, the nearest two decode to points "
        f"{least:.2g} of the median distance apart (0 would be a counterexample; that there is none cannot be proven)."
    )
    return Finding("injective", None if not least < 1e-3 else False, least, sentence)


def _rank(space: Pullback, z: Tensor) -> Finding:
    values = torch.linalg.svdvals(space.tangent_jacobian(z))
    condition = float((values[:, 0] / values[:, -1]).max())
    sentence = (
        f"Does every latent direction change the output? At the worst of {len(z)} codes, the strongest direction changes it "
        f"{condition:.3g} times as much as the weakest (below {BADLY_CONDITIONED:.0f} holds)."
    )
    return Finding("rank", condition < BADLY_CONDITIONED, condition, sentence)


def _smooth(space: Pullback, z: Tensor) -> Finding:
    """What the derivatives do between neighbouring codes of the sample."""
    start = z[:LINES]
    end = start.roll(1, 0) if space.base is None else space.base.geodesic(start, start.roll(1, 0), NEAR)
    found = smoothness(space.immerse, start, end)
    said = {
        Smoothness.KINKED: "it jumps: the decoder has kinks (ReLU?), where all of its curvature sits",
        Smoothness.ONCE: "it has no jumps, but its own derivative has (ELU?): curvature is right almost everywhere",
        Smoothness.SMOOTH: "it varies smoothly",
    }[found]
    sentence = f"Is the decoder smooth? Its derivative was followed along lines between codes: {said}."
    return Finding("smooth", found is not Smoothness.KINKED, float(found), sentence)


def _encoder(model: Model, points: Tensor, z: Tensor) -> Finding:
    x = points[:PROBES].flatten(1)
    decoded = Pullback(list(model.decoders), base=base(model)).decode(z)
    error = (expected(model.chart, decoded).flatten(1) - x).pow(2).mean() / (x - x.mean(0)).pow(2).mean()
    sentence = (
        "Does a code stand for its observation? Encoded and decoded again, observations differ from the originals by "
        f"{float(error):.0%} of the data's variance (0 %: exact; 100 % or more: no better than the mean observation). The more "
        "it is, the more depends on whether endpoints are found by the encoder or by projection."
    )
    return Finding("encoder", bool(error < 1), float(error), sentence)
