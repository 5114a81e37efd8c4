"""Spaces: an inner product at each point, explicit or learned. Local structure only; solvers live above."""

from egregium.spaces import charts
from egregium.spaces.constant_curvature import ConstantCurvature
from egregium.spaces.euclidean import Euclidean
from egregium.spaces.explicit import Explicit
from egregium.spaces.hyperbolic import Hyperbolic
from egregium.spaces.product import Product
from egregium.spaces.pullback import Pullback
from egregium.spaces.scaled import Scaled
from egregium.spaces.sphere import Sphere
from egregium.spaces.torus import Torus

__all__ = [
    "ConstantCurvature", "Euclidean", "Explicit", "Hyperbolic", "Product", "Pullback", "Scaled", "Sphere", "Torus", "charts",
]  # fmt: skip
