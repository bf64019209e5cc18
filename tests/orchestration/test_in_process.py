"""What a step that failed says to a person."""

from __future__ import annotations

import dagster as dg
import pytest

from orchestration.in_process import QUIET, quiet_logs, step_errors
from resources.errors import RetryableError, Where


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (RetryableError("nobody answers", where=Where(field="A"), action="wait"), "field A: nobody answers -> wait"),
        (ValueError("seven"), "ValueError: seven"),
    ],
)
def test_an_error_of_ours_is_told_without_the_name_of_its_class(raised: Exception, told: str) -> None:
    @dg.op
    def failing() -> None:
        raise raised

    @dg.job
    def job() -> None:
        failing()

    with quiet_logs():
        result = job.execute_in_process(run_config=QUIET, raise_on_error=False)

    assert step_errors(result) == {"failing": told}
