"""Relations: numbers read off points of a space, each with its scale type and what leaves it unchanged."""

from egregium.relations import curvature
from egregium.relations.angle import Angle, angle
from egregium.relations.density import Density, log_density
from egregium.relations.distance import Chord, GeodesicDistance, StraightLength, chord, distance, straight_length
from egregium.relations.explog import exp, log
from egregium.relations.independent_draw import IndependentDrawLength
from egregium.relations.jacobi import conjugate_time, jacobi_field
from egregium.relations.latent import LatentDistance
from egregium.relations.mean import Mean, mean
from egregium.relations.neighbors import neighbors
from egregium.relations.pairwise import Pairwise, pairwise
from egregium.relations.parallel_transport import transport
from egregium.relations.volume import LogVolume, log_volume

__all__ = [
    "Angle", "Chord", "Density", "GeodesicDistance", "IndependentDrawLength", "LatentDistance", "LogVolume", "Mean",
    "Pairwise", "StraightLength",
    "angle", "chord", "conjugate_time", "curvature", "distance", "exp", "jacobi_field", "log", "log_density", "log_volume",
    "mean", "neighbors", "pairwise", "straight_length", "transport",
]  # fmt: skip
