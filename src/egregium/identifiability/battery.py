"""The relations that a study sets side by side, on one model at one kind of endpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from egregium.errors import OptionError
from egregium.geodesics.connect import connect
from egregium.geodesics.geodesic import Geodesic
from egregium.identifiability.views import base, expected_space, mean_space
from egregium.protocols import Measured, Model, Relation, Scale
from egregium.relations.angle import measured
from egregium.relations.density import Density
from egregium.relations.distance import Chord, StraightLength
from egregium.relations.independent_draw import IndependentDrawLength
from egregium.relations.latent import LatentDistance, aligning, whitening
from egregium.spaces.pullback import Pullback

RTOL = 5e-3


@dataclass(frozen=True)
class Scene:
    """One model with the latent endpoints of the pairs, and what several relations share, computed once.

    `first, second, third` `(P, d)`; `latent` `(N, d)` encoder means of all test points and `reference` `(N, k)` those of the
    first training, for baselines that rescale coordinates.
    """

    model: Model
    first: Tensor
    second: Tensor
    third: Tensor
    latent: Tensor
    reference: Tensor

    @cached_property
    def expected(self) -> Pullback:
        """Space of the expected metric of all decoders."""
        return expected_space(self.model)

    @cached_property
    def mean(self) -> Pullback:
        """Space of the mean decoder."""
        return mean_space(self.model)

    @cached_property
    def one(self) -> Pullback:
        """Space of the first decoder."""
        return Pullback(self.model.decoders[0], base=base(self.model), chart=self.model.chart)

    @cached_property
    def geodesic(self) -> Geodesic:
        """Geodesics of the expected metric from first to second points."""
        return connect(self.expected, self.first, self.second, rtol=RTOL, on_fail="mark")

    @cached_property
    def geodesic_mean(self) -> Geodesic:
        """The same of the mean decoder; identical where there is only one."""
        if len(self.model.decoders) == 1:
            return self.geodesic
        return connect(self.mean, self.first, self.second, rtol=RTOL, starts=self.geodesic, on_fail="mark")

    def angle(self) -> Measured:
        """Angle at the first point between the geodesics to the second and third."""
        other = connect(self.expected, self.first, self.third, rtol=RTOL, on_fail="mark")
        return measured(self.expected, self.first, self.geodesic, other)

    def independent_draw(self, n_points: int) -> Measured:
        """The published independent-draw length along the geodesics of the expected metric."""
        relation, g = IndependentDrawLength(n_points), self.geodesic
        with torch.no_grad():
            curves = g(torch.linspace(0, 1, n_points, dtype=g.length.dtype, device=g.length.device))
            return relation.along(self.expected, curves)._replace(status=g.status)

    def latent_distance(self, name: str, matrix: Tensor) -> Measured:
        """Distance of linearly mapped latent coordinates."""
        return LatentDistance(name, matrix)(self.expected, self.first, self.second)


@dataclass(frozen=True)
class Entry:
    """A relation of the battery: how many points it takes, its scale type, how it is measured on a scene."""

    arity: int
    scale: Scale
    measure: Callable[[Scene], Measured]


def _geodesic(g: Geodesic) -> Measured:
    return Measured(g.length, g.lower, g.upper, g.status)


def _scaled(scene: Scene) -> Measured:
    spread = (scene.latent - scene.latent.mean(0)).norm(dim=-1).mean()
    return scene.latent_distance("euclidean_scaled", torch.eye(scene.latent.shape[-1]) / spread)


def _one(scene: Scene) -> Measured:
    if len(scene.model.decoders) == 1:
        return _geodesic(scene.geodesic)
    return _geodesic(connect(scene.one, scene.first, scene.second, rtol=RTOL, starts=scene.geodesic, on_fail="mark"))


BATTERY: Mapping[str, Entry] = {
    "euclidean": Entry(2, "ratio", lambda s: s.latent_distance("euclidean", torch.eye(s.latent.shape[-1]))),
    "euclidean_scaled": Entry(2, "ratio", _scaled),
    "euclidean_whitened": Entry(2, "ratio", lambda s: s.latent_distance("euclidean_whitened", whitening(s.latent))),
    "euclidean_aligned": Entry(2, "ratio", lambda s: s.latent_distance("euclidean_aligned", aligning(s.latent, s.reference))),
    "chord": Entry(2, "ratio", lambda s: Chord()(s.expected, s.first, s.second)),
    "straight_length": Entry(2, "ratio", lambda s: StraightLength()(s.expected, s.first, s.second)),
    "geodesic": Entry(2, "ratio", lambda s: _geodesic(s.geodesic)),
    "geodesic_mean": Entry(2, "ratio", lambda s: _geodesic(s.geodesic_mean)),
    "geodesic_one": Entry(2, "ratio", _one),
    "angle": Entry(3, "circular", Scene.angle),
    "density": Entry(1, "interval", lambda s: Density(s.model.prior)(s.expected, s.first)),
    "independent_draw_32": Entry(2, "ratio", lambda s: s.independent_draw(32)),
    "independent_draw_256": Entry(2, "ratio", lambda s: s.independent_draw(256)),
}


def chosen(relations: Sequence[str | Relation] | None) -> dict[str, Entry]:
    """Entries by name: the whole battery, those named, or relations of the user's own on the expected metric."""
    if relations is None:
        return dict(BATTERY)
    if isinstance(relations, str):
        raise OptionError(f"relations is a list of names, such as [{relations!r}]; got the string {relations!r}.")
    entries: dict[str, Entry] = {}
    for relation in relations:
        if isinstance(relation, str):
            if relation not in BATTERY:
                raise OptionError(f"no relation is called {relation!r}; there are {', '.join(BATTERY)}.")
            entries[relation] = BATTERY[relation]
        elif isinstance(relation, Relation):
            entries[relation.name] = Entry(relation.arity, relation.scale, _own(relation))
        else:
            raise OptionError(f"a relation is a name or an object with name, arity, scale and a call; got {relation!r}.")
    if not entries:
        raise OptionError("a study needs at least one relation; got an empty list.")
    return entries


def _own(relation: Relation) -> Callable[[Scene], Measured]:
    def measure(scene: Scene) -> Measured:
        points = (scene.first, scene.second, scene.third)[: relation.arity]
        with torch.no_grad():
            return relation(scene.expected, *points)

    return measure
