"""Relations: numbers read off points of a space, each with its scale type and what leaves it unchanged."""

from egregium.relations import curvature
from egregium.relations.angle import Angle, angle
from egregium.relations.ball import BallVolume, ball_volume
from egregium.relations.density import Density, log_density
from egregium.relations.distance import Chord, GeodesicDistance, StraightLength, chord, distance, straight_length
from egregium.relations.embedding import Embedding, embed
from egregium.relations.explog import exp, log
from egregium.relations.flatness import Flatness, flatness
from egregium.relations.gromov_wasserstein import Alignment, gromov_wasserstein
from egregium.relations.independent_draw import IndependentDrawLength
from egregium.relations.jacobi import conjugate_time, jacobi_field
from egregium.relations.latent import LatentDistance
from egregium.relations.mean import Mean, mean
from egregium.relations.medoids import Medoids, medoids
from egregium.relations.neighbors import neighbors
from egregium.relations.optimal_transport import Transport, wasserstein
from egregium.relations.pairwise import Pairwise, pairwise
from egregium.relations.parallel_transport import transport
from egregium.relations.population import PrincipalDirections, principal_directions, variance
from egregium.relations.region import Volume, volume
from egregium.relations.signature import Signature, signature
from egregium.relations.volume import LogVolume, log_volume

__all__ = [
    "Alignment", "Angle", "BallVolume", "Chord", "Density", "Embedding", "Flatness", "GeodesicDistance",
    "IndependentDrawLength", "LatentDistance", "LogVolume", "Mean", "Medoids", "Pairwise", "PrincipalDirections", "Signature",
    "StraightLength", "Transport", "Volume", "angle", "ball_volume", "chord", "conjugate_time", "curvature", "distance",
    "embed", "exp", "flatness", "gromov_wasserstein", "jacobi_field", "log", "log_density", "log_volume", "mean", "medoids",
    "neighbors", "pairwise", "principal_directions", "signature", "straight_length", "transport", "variance", "volume",
    "wasserstein",
]  # fmt: skip
