"""Couplings of two weighted sets: the linear program and its entropic relaxation, by POT, an optional dependency.

Everything here is in float64 on the CPU, whatever the points are.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import NamedTuple

import torch
from torch import Tensor

from egregium.errors import MissingExtraError
from egregium.status import Status

PIVOTS = 100_000_000
ROUNDS = 10_000
MARGIN = 1e-9
OPTIMAL = 1  # the network simplex's code for it


class Coupling(NamedTuple):
    """A plan `(N, M)` whose marginals are the weights, and what became of it: CONVERGED or MAX_STEPS."""

    plan: Tensor
    status: Tensor


def _status(met: bool) -> Tensor:
    return torch.tensor(int(Status.CONVERGED if met else Status.MAX_STEPS), dtype=torch.int8)


def require_pot() -> ModuleType:
    """POT, imported now.

    Raises: `MissingExtraError` where it is not installed.
    """
    try:
        with silent():
            import ot
    except ImportError as error:
        raise MissingExtraError("optimal transport is solved by POT, which is missing: pip install egregium[ot].") from error
    return ot


@contextmanager
def silent() -> Iterator[None]:
    """Warnings unheard: what POT warns of is a status here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def on_host(x: Tensor) -> Tensor:
    """In float64 on the CPU, without history."""
    return x.detach().to("cpu", torch.float64)


def optimal(a: Tensor, b: Tensor, cost: Tensor) -> Coupling:
    """The plan of least cost `sum_ij P_ij C_ij` between weights `(N,)`, `(M,)`, by the network simplex.

    References: Bonneel, van de Panne, Paris, Heidrich 2011 (doi 10.1145/2070781.2024192).
    """
    a, b = a / a.sum(), b / b.sum()
    with silent():
        plan, log = require_pot().emd(a.numpy(), b.numpy(), cost.contiguous().numpy(), numItermax=PIVOTS, log=True)
    return Coupling(torch.from_numpy(plan), _status(log["result_code"] == OPTIMAL))


def entropic(a: Tensor, b: Tensor, cost: Tensor, entropy: float) -> Coupling:
    """The plan of least `sum_ij P_ij (C_ij + eps log P_ij)`, `eps = entropy` times the mean `sum_ij a_i b_j C_ij` of costs.

    Sinkhorn's iterations on logarithms, until the marginals err by 1e-9, then rounded to the marginals.

    References: Cuturi 2013 (arXiv 1306.0895); the rounding: Altschuler, Weed, Rigollet 2017 (arXiv 1705.09634).
    """
    rows, columns = a > 0, b > 0
    p, q, c = a[rows] / a.sum(), b[columns] / b.sum(), cost[rows][:, columns]
    mean = p @ c @ q
    c = c / mean if mean > 0 else c
    with silent():
        inner, log = require_pot().sinkhorn(
            p.numpy(), q.numpy(), c.numpy(), entropy,
            method="sinkhorn_log", numItermax=ROUNDS, stopThr=MARGIN, log=True, warn=False,
        )  # fmt: skip
    plan = torch.zeros_like(cost)
    plan[rows.nonzero(), columns.nonzero().T] = _rounded(torch.nan_to_num(torch.from_numpy(inner), nan=0.0), p, q)
    return Coupling(plan, _status(log["err"][-1] < MARGIN))


def _rounded(plan: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """A plan nearby whose marginals are a and b."""
    plan = plan * (a / plan.sum(1)).clamp_max(1)[:, None]
    plan = plan * (b / plan.sum(0)).clamp_max(1)
    rows, columns = (a - plan.sum(1)).clamp_min(0), (b - plan.sum(0)).clamp_min(0)
    return plan + rows[:, None] * columns / rows.sum() if rows.sum() > 0 else plan
