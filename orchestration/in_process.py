"""What every run of a job inside a process of ours needs: silence, and what its steps said when they failed.

Light to import: processes that only read start with it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
"""Run configuration that keeps Dagster's log in its instance: the terminal shows ours."""


_OUR_CLASS = re.compile(r"^resources(\.\w+)+: ")
"""Python's name of an error of ours, which says nothing to whoever reads what is wrong and what to do next."""


def step_errors(result: dg.ExecuteInProcessResult) -> dict[str, str]:
    """Message of each step that failed, by step."""
    return {
        event.step_key: _error_text(event) for event in result.all_events if event.is_step_failure and event.step_key
    }


def _error_text(event: dg.DagsterEvent) -> str:
    """What the step itself raised: Dagster wraps it once, and what lies below is how it came about."""
    error = event.step_failure_data.error
    told = error.cause if error is not None and error.cause is not None else error
    return _OUR_CLASS.sub("", told.message.strip()) if told is not None else "failed without a message"


@contextmanager
def quiet_logs() -> Iterator[None]:
    """Dagster's own progress stays in its instance; the terminal shows ours."""
    logger = logging.getLogger("dagster")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)
