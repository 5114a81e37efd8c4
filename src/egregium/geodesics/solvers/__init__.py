"""Solvers of the discrete geodesic problem, one a file, behind one seam."""

from egregium.geodesics.solvers.base import Solution, Solver, Termination
from egregium.geodesics.solvers.gauss_newton import GaussNewton

__all__ = ["GaussNewton", "Solution", "Solver", "Termination"]
