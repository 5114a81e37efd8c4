"""Geodesics: curves, solvers, `connect`, and what certifies their results."""

from egregium.geodesics import solvers
from egregium.geodesics.connect import connect
from egregium.geodesics.geodesic import Geodesic
from egregium.geodesics.support import SupportGraph

__all__ = ["Geodesic", "SupportGraph", "connect", "solvers"]
