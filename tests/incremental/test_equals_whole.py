"""A run that builds only what changed leaves every table as a whole build would, whatever changed and in whatever portions."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from resources.given_tables import quoted
from resources.sql_project import SqlProject
from resources.warehouse import Warehouse
from resources.warehouse.build import ModelBuilder
from resources.warehouse.checking import run_check
from tests.incremental.history import ENTITIES, Life

ALWAYS_IN_PART = 1e9
"""At this share of its rows no model is built whole for being touched too widely."""


class Change(NamedTuple):
    """One thing that happens to an entity. ``kind``: change, see_again or delete."""

    kind: str
    entity: str
    seed: int
    rows_qty: int


class Step(NamedTuple):
    """What happens between two runs, and how long after the one before."""

    changes: Sequence[Change]
    hours: float


def differences(con: duckdb.DuckDBPyConnection, project: SqlProject) -> dict[str, tuple[int, int]]:
    """Model -> rows that its table has too many, and too few, by its own query over the tables as they are."""
    found = {}
    for model in project.models.values():
        table = quoted(model.name)
        con.execute(f"create or replace temp table whole as {model.sql}")
        extra, missing = (
            con.execute(f"select count(*) from (from {one} except all from {other})").fetchall()[0][0]
            for one, other in ((table, "whole"), ("whole", table))
        )
        if extra or missing:
            found[model.name] = (extra, missing)
    return found


def run(
    con: duckdb.DuckDBPyConnection, project: SqlProject, *, is_incremental: bool
) -> dict[tuple[str | None, str], int]:
    """One run: all models, all checks. Gives check -> rows that break it, as told."""
    builder = ModelBuilder(con, project, is_incremental=is_incremental, whole_share=ALWAYS_IN_PART)
    for model in project.models.values():
        builder.build(model)
    told = {(check.model, check.name): builder.run_check(check).failing_qty for check in project.all_checks()}
    builder.close()
    return told


def misjudged(
    con: duckdb.DuckDBPyConnection, project: SqlProject, told: dict[tuple[str | None, str], int]
) -> dict[tuple[str | None, str], tuple[int, int]]:
    """Check -> rows told, and rows that do break it, where these differ."""
    found = {}
    for check in project.all_checks():
        key = (check.model, check.name)
        failing_qty = run_check(con, check).failing_qty
        if told[key] != failing_qty:
            found[key] = (told[key], failing_qty)
    return found


def live(life: Life, project: SqlProject, steps: Sequence[Step]) -> None:
    """Go through the steps, a run after each; every table is compared after every run, every check after the last."""
    for entity in ENTITIES:
        life.change(entity, 1, 16)
    life.set_clock(0)
    told = run(life.con, project, is_incremental=False)
    for number, step in enumerate(steps, 1):
        for change in step.changes:
            match change.kind:
                case "change":
                    life.change(change.entity, change.seed, change.rows_qty)
                case "see_again":
                    life.see_again(change.entity, change.seed)
                case _:
                    life.delete(change.entity, change.seed)
        life.set_clock(step.hours)
        told = run(life.con, project, is_incremental=True)
        found = differences(life.con, project)
        assert not found, f"after step {number}: model -> (rows too many, rows too few): {found}"
    wrong = misjudged(life.con, project, told)
    assert not wrong, f"check -> (rows told, rows that break it): {wrong}"


CHANGES = st.builds(
    Change,
    kind=st.sampled_from(["change", "change", "change", "see_again", "delete"]),
    entity=st.sampled_from(ENTITIES),
    seed=st.integers(0, 2**20),
    rows_qty=st.integers(1, 6),
)
STEPS = st.builds(
    Step, changes=st.lists(CHANGES, max_size=6), hours=st.sampled_from([0.0, 0.5, 5.0, 30.0, 24.0 * 8, 24.0 * 31])
)


def check(project: SqlProject, steps: Sequence[Step]) -> None:
    """Live through the steps in a warehouse of their own."""
    folder = Path(tempfile.mkdtemp())
    try:
        with Warehouse(folder / "data", threads=1).writer() as con:
            live(Life(con, folder), project, steps)
    finally:
        shutil.rmtree(folder)


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(steps=st.lists(STEPS, min_size=1, max_size=3))
def test_any_changes_in_any_portions(sql_project: SqlProject, steps: list[Step]) -> None:
    check(sql_project, steps)


@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=2, max_size=8))
def test_many_changes_in_any_portions(sql_project: SqlProject, steps: list[Step]) -> None:
    check(sql_project, steps)
