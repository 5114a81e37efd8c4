"""Identifiable geometry of latent spaces: measure what does not change when a deep generative model is trained again.

Every name in `dir(egregium)` is imported on first use, so that `import egregium` and the command line start at once and the
mathematical side (spaces, geodesics, relations) needs no more than torch, numpy and scipy.

>>> import egregium as eg
>>> "connect" in dir(eg)
True
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:  # what type checkers and editors read; _FACE is what runs, and a test keeps the two equal
    from egregium import causal, data, distributions, models, report
    from egregium.distributions import AggregatePosterior
    from egregium.errors import EgregiumError, NotConvergedError
    from egregium.geodesics import Geodesic, SupportGraph, connect, solvers
    from egregium.geodesics.projection import project
    from egregium.identifiability.assumptions import check
    from egregium.identifiability.dispersion import summarize
    from egregium.identifiability.indeterminacy import indeterminacy
    from egregium.identifiability.scope import scope
    from egregium.identifiability.study import Study
    from egregium.models import LatentModel, fit
    from egregium.relations import (
        angle,
        ball_volume,
        chord,
        conjugate_time,
        curvature,
        distance,
        embed,
        exp,
        flatness,
        gromov_wasserstein,
        jacobi_field,
        log,
        log_density,
        log_volume,
        mean,
        medoids,
        neighbors,
        pairwise,
        principal_directions,
        signature,
        straight_length,
        transport,
        variance,
        volume,
        wasserstein,
    )  # fmt: skip
    from egregium.spaces import (
        ConstantCurvature,
        Euclidean,
        Hyperbolic,
        Product,
        Pullback,
        Scaled,
        Sphere,
        Torus,
        charts,
    )  # fmt: skip
    from egregium.status import Status

_FACE = {
    "egregium": (
        "causal",
        "data",
        "distributions",
        "models",
        "report",
    ),
    "egregium.distributions": ("AggregatePosterior",),
    "egregium.errors": (
        "EgregiumError",
        "NotConvergedError",
    ),
    "egregium.geodesics": (
        "Geodesic",
        "SupportGraph",
        "connect",
        "solvers",
    ),
    "egregium.geodesics.projection": ("project",),
    "egregium.identifiability.assumptions": ("check",),
    "egregium.identifiability.dispersion": ("summarize",),
    "egregium.identifiability.indeterminacy": ("indeterminacy",),
    "egregium.identifiability.scope": ("scope",),
    "egregium.identifiability.study": ("Study",),
    "egregium.models": (
        "LatentModel",
        "fit",
    ),
    "egregium.relations": (
        "angle",
        "ball_volume",
        "chord",
        "conjugate_time",
        "curvature",
        "distance",
        "embed",
        "exp",
        "flatness",
        "gromov_wasserstein",
        "jacobi_field",
        "log",
        "log_density",
        "log_volume",
        "mean",
        "medoids",
        "neighbors",
        "pairwise",
        "principal_directions",
        "signature",
        "straight_length",
        "transport",
        "variance",
        "volume",
        "wasserstein",
    ),
    "egregium.spaces": (
        "ConstantCurvature",
        "Euclidean",
        "Hyperbolic",
        "Product",
        "Pullback",
        "Scaled",
        "Sphere",
        "Torus",
        "charts",
    ),
    "egregium.status": ("Status",),
}
_SOURCE = {name: source for source, names in _FACE.items() for name in names}

__all__ = [
    "AggregatePosterior",
    "ConstantCurvature",
    "EgregiumError",
    "Euclidean",
    "Geodesic",
    "Hyperbolic",
    "LatentModel",
    "NotConvergedError",
    "Product",
    "Pullback",
    "Scaled",
    "Sphere",
    "Status",
    "Study",
    "SupportGraph",
    "Torus",
    "angle",
    "ball_volume",
    "causal",
    "charts",
    "check",
    "chord",
    "conjugate_time",
    "connect",
    "curvature",
    "data",
    "distance",
    "distributions",
    "embed",
    "exp",
    "fit",
    "flatness",
    "gromov_wasserstein",
    "indeterminacy",
    "jacobi_field",
    "log",
    "log_density",
    "log_volume",
    "mean",
    "medoids",
    "models",
    "neighbors",
    "pairwise",
    "principal_directions",
    "project",
    "report",
    "scope",
    "signature",
    "solvers",
    "straight_length",
    "summarize",
    "transport",
    "variance",
    "volume",
    "wasserstein",
]


def __getattr__(name: str) -> object:
    source = _SOURCE.get(name)
    if source is None:
        raise AttributeError(f"module 'egregium' has no attribute {name!r}; dir(egregium) lists what it has")
    value = import_module(f"egregium.{name}") if source == "egregium" else getattr(import_module(source), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
