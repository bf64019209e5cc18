"""A run that builds only what changed leaves every table as a whole build would, whatever changed and in whatever portions."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from datetime import timedelta
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
from resources.warehouse.checking import run_checks
from tests.incremental.history import ENTITIES, START, Life

ALWAYS_IN_PART = 1e9
"""At this share of its rows no model is built whole for being touched too widely."""


Outcomes = dict[tuple[str | None, str], int]
"""Check, by its model and name -> rows that break it."""


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
    con: duckdb.DuckDBPyConnection, project: SqlProject, *, is_incremental: bool, checks_too: bool = True
) -> Outcomes:
    """One run: all models, all checks. Gives check -> rows that break it, as told."""
    builder = ModelBuilder(con, project, is_incremental=is_incremental, whole_share=ALWAYS_IN_PART)
    for model in project.models.values():
        builder.build(model)
    told = builder.run_checks(project.all_checks()) if checks_too else []
    builder.close()
    return {(one.check.model, one.check.name): one.failing_qty for one in told}


def misjudged(
    con: duckdb.DuckDBPyConnection, project: SqlProject, told: Outcomes
) -> dict[tuple[str | None, str], tuple[int, int]]:
    """Check -> rows told, and rows that do break it, where these differ."""
    right = {(one.check.model, one.check.name): one.failing_qty for one in run_checks(con, project)}
    return {key: (told[key], failing) for key, failing in right.items() if told[key] != failing}


@pytest.fixture(name="begun", scope="module")
def _begun(sql_project: SqlProject, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder in which the first run was done, to copy."""
    folder = tmp_path_factory.mktemp("begun")
    with Warehouse(folder / "data", threads=1).writer() as con:
        life = Life(con, folder)
        for entity in ENTITIES:
            life.change(entity, 1, 16)
        life.set_clock(0)
        run(con, sql_project, is_incremental=False)
    return folder / "data"


def live(begun: Path, project: SqlProject, steps: Sequence[Step], *, is_thorough: bool) -> None:
    """Go through the steps in a copy, a run after each; every table is compared after the last.

    ``is_thorough``: after every run, and the checks' outcomes too.
    """
    folder = Path(tempfile.mkdtemp())
    try:
        shutil.copytree(begun, folder / "data")
        with Warehouse(folder / "data", threads=1).writer() as con:
            life = Life(con, folder, now=START + timedelta(minutes=1), extracts_qty=1000)
            for number, step in enumerate(steps, 1):
                for change in step.changes:
                    happen(life, change)
                life.set_clock(step.hours)
                told = run(con, project, is_incremental=True, checks_too=is_thorough)
                found = differences(con, project) if is_thorough or number == len(steps) else {}
                assert not found, f"after step {number}: model -> (rows too many, rows too few): {found}"
            wrong = misjudged(con, project, told) if is_thorough else {}
            assert not wrong, f"check -> (rows told, rows that break it): {wrong}"
    finally:
        shutil.rmtree(folder)


def happen(life: Life, change: Change) -> None:
    """Let a change happen."""
    match change.kind:
        case "change":
            life.change(change.entity, change.seed, change.rows_qty)
        case "see_again":
            life.see_again(change.entity, change.seed)
        case _:
            life.delete(change.entity, change.seed)


def steps_of(entities: Sequence[str], *, least: int, most: int) -> st.SearchStrategy[list[Step]]:
    """Steps in which these entities change, appear, are seen again and are deleted."""
    changes = st.builds(
        Change,
        kind=st.sampled_from(["change", "change", "change", "see_again", "delete"]),
        entity=st.sampled_from(entities),
        seed=st.integers(0, 2**20),
        rows_qty=st.integers(1, 6),
    )
    hours = st.sampled_from([0.0, 0.5, 5.0, 30.0, 24.0 * 8, 24.0 * 31])
    return st.lists(
        st.builds(Step, changes=st.lists(changes, min_size=1, max_size=6), hours=hours), min_size=least, max_size=most
    )


ORDERS = ("order", "order_line", "customer", "order_acknowledgement")
GOODS = ("shipment", "shipment_line", "carrier_scan", "return_line", "refund", "refund_line", "order_line")
ARTICLES = tuple(entity for entity in ENTITIES if entity not in (*ORDERS, *GOODS))
QUICK = settings(max_examples=2, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@QUICK
@given(steps=steps_of(ORDERS, least=1, most=2))
def test_orders_change(begun: Path, sql_project: SqlProject, steps: list[Step]) -> None:
    live(begun, sql_project, steps, is_thorough=False)


@QUICK
@given(steps=steps_of(GOODS, least=1, most=2))
def test_goods_move(begun: Path, sql_project: SqlProject, steps: list[Step]) -> None:
    live(begun, sql_project, steps, is_thorough=False)


@QUICK
@given(steps=steps_of(ARTICLES, least=1, most=2))
def test_articles_prices_and_stocks_change(begun: Path, sql_project: SqlProject, steps: list[Step]) -> None:
    live(begun, sql_project, steps, is_thorough=False)


def test_checks_tell_what_they_would_of_whole_tables(begun: Path, sql_project: SqlProject) -> None:
    changes = [Change("change", entity, 5, 4) for entity in (*ORDERS, *GOODS)] + [Change("delete", "product", 3, 0)]
    live(begun, sql_project, [Step(changes, 5)], is_thorough=True)


@pytest.mark.drill  # minutes: the kinds of changes above are in make test, all of them together for long are not
@pytest.mark.slow
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=steps_of(ENTITIES, least=2, most=8))
def test_anything_changes_for_long(begun: Path, sql_project: SqlProject, steps: list[Step]) -> None:
    live(begun, sql_project, steps, is_thorough=True)
