"""Spaces: an inner product at each point, explicit or learned. Local structure only; solvers live above."""

from egregium.spaces import charts
from egregium.spaces.euclidean import Euclidean
from egregium.spaces.pullback import Pullback

__all__ = ["Euclidean", "Pullback", "charts"]
