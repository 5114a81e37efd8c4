"""Solvers of the discrete geodesic problem, one a file, behind one seam."""

from egregium.geodesics.solvers.adam import Adam
from egregium.geodesics.solvers.base import Solution, Solver, Termination
from egregium.geodesics.solvers.choice import Automatic
from egregium.geodesics.solvers.gauss_newton import GaussNewton
from egregium.geodesics.solvers.georce import Georce
from egregium.geodesics.solvers.lbfgs import LBFGS
from egregium.geodesics.solvers.shooting import Shooting
from egregium.geodesics.solvers.spline import Spline

__all__ = [
    "LBFGS", "Adam", "Automatic", "GaussNewton", "Georce", "Shooting", "Solution", "Solver", "Spline", "Termination",
]  # fmt: skip
