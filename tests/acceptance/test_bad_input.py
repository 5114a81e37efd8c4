"""Acceptance 8: how many cases of bad input there are, and that their judge can fail."""

import pytest
import torch
from tests.acceptance import test_bad_data, test_bad_decoders, test_bad_models, test_bad_options, test_bad_points, test_bad_runs
from tests.acceptance.bad_input import ONE, Case, require_typed, wavy

from egregium.errors import EgregiumError, NotConvergedError
from egregium.geodesics import connect
from egregium.spaces import Pullback
from egregium.status import Status


def test_there_are_forty_cases_of_each_kind() -> None:
    inputs = (test_bad_points.case, test_bad_decoders.case, test_bad_options.case)
    files = (test_bad_models.case, test_bad_data.case, test_bad_runs.case, test_bad_runs.COMMANDS)
    assert sum(map(len, inputs)) >= 40 and sum(map(len, files)) >= 40


def test_failure_carries_its_result() -> None:
    with pytest.raises(NotConvergedError) as caught:
        connect(Pullback(wavy), -ONE, ONE, max_steps=1)
    assert caught.value.result.status.item() != Status.CONVERGED  # type: ignore[attr-defined]
    assert "max_steps" in str(caught.value)


@pytest.mark.parametrize(
    "bad",
    [
        lambda: 1.0,
        lambda: torch.zeros(2, dtype=torch.int8),
        lambda: [][0],
        lambda: (_ for _ in ()).throw(EgregiumError("short")),
    ],
    ids=["a number", "CONVERGED", "a foreign error", "no sentence"],
)
def test_the_judge_can_fail(bad: Case) -> None:
    with pytest.raises((AssertionError, IndexError)):
        require_typed(bad)
