"""A small retailer for drills, and what is compared after one: every row that people read, less what tells when it was read."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path

from assets.runtime import Runtime, build_runtime
from orchestration.runs import RunSummary, run_job
from resources.settings import Settings
from resources.sql_project import SqlProject, load_project
from sandbox.retailer import Sandbox, start_sandbox
from sandbox.world import DEMO_NOW

ROOT = Path(__file__).parents[2]
ONLY_SHOPS = 'key:"shop_fr/*" or key:"shop_be/*" or group:canonical'
"""What a drill selects that only asks what was read of the shops."""

State = dict[str, list[str]]

_READ_WHEN = ("observed_at", "extract_id", "_row_version", "run_id", "source_position", "as_of_at", "read_at")
"""How the columns end that tell when and by which reading a row came: a reading that was repeated has others."""
_JOURNALS = {"fct_extract", "fct_exchange", "fct_incident"}
"""What tells of the faults themselves."""


@dataclass(frozen=True)
class Place:
    """A running sandbox and the folder that its drills work in."""

    sandbox: Sandbox
    folder: Path

    def runtime(self, name: str, now: datetime, *, keep: bool = False, **variables: str) -> Runtime:
        """A retailer with a data folder of its own, called ``name``; emptied unless ``keep``."""
        if not keep:
            shutil.rmtree(self.folder / name, ignore_errors=True)
            shutil.rmtree(self.drops(name), ignore_errors=True)
        return runtime_of(self.variables(name, now) | variables)

    def drops(self, name: str) -> Path:
        """The files of a drill: acknowledgements are written beside them, so each has its own."""
        return self.folder / f"{name}-drops"

    def variables(self, name: str, now: datetime) -> dict[str, str]:
        """The environment of a retailer that reads this sandbox, its data in the folder ``name``."""
        drops = self.drops(name)
        if not drops.exists():
            shutil.copytree(self.sandbox.drops, drops)
        return {
            "ETALON_DROPS": str(drops),
            "ETALON_SHOP_FR_URL": self.sandbox.url_fr,
            "ETALON_SHOP_FR_KEY": self.sandbox.key_fr,
            "ETALON_SHOP_BE_URL": self.sandbox.url_be,
            "ETALON_SHOP_BE_KEY": self.sandbox.key_be,
            "ETALON_SHOP_BE_SECRET": self.sandbox.secret_be,
            "ETALON_SHOP_BE_WEBHOOK_SECRET": self.sandbox.webhook_secret_be,
            "ETALON_DATA_DIR": str(self.folder / name),
            "ETALON_NOW": now.isoformat(),
            "ETALON_SECRET_KEY": bytes(range(32)).hex(),
        }


@cache
def project() -> SqlProject:
    """The SQL project with its lineage: the same for every drill, and seconds of work."""
    found = load_project(ROOT / "dbt_like_sql")
    assert found.lineage
    return found


def runtime_of(variables: Mapping[str, str]) -> Runtime:
    """The retailer of an environment."""
    return build_runtime(Settings.from_environment(variables, ROOT), project=project())


@contextmanager
def place(folder: Path, *, now: datetime = DEMO_NOW, clock: Callable[[], datetime] | None = None) -> Iterator[Place]:
    """The smallest sandbox that holds every planted defect, its shops reading well; ``clock``: another present of the shops."""
    sandbox = start_sandbox(
        folder / "sandbox", variants=500, orders=2_000, loses_rows=False, tells_truth=False, now=now, clock=clock
    )
    try:
        yield Place(sandbox, folder)
    finally:
        sandbox.stop()


def read_and_build(runtime: Runtime, *, full: bool = True, select: str | None = None) -> RunSummary:
    """The main job without its publications."""
    return run_job(runtime, full=full, select=select, publications=())


def final_state(runtime: Runtime) -> State:
    """Table -> rows as text, sorted: canonical rows, referentials, KPIs, marts; what waits in quarantine, and what is told to be wrong."""
    state: State = {}
    with runtime.writer("drill") as con:
        tables = con.sql(
            """select database_name, schema_name, table_name from duckdb_tables()
            where database_name in ('wh', 'mart') and schema_name in ('canonical', 'referentials', 'kpis', 'marts', 'channels')"""
        ).fetchall()
        for database, schema, table in sorted(tables):
            if table in _JOURNALS:
                continue
            columns = [
                name
                for (name,) in con.execute(
                    """select column_name from duckdb_columns()
                    where database_name = ? and schema_name = ? and table_name = ? order by column_index""",
                    [database, schema, table],
                ).fetchall()
                if not name.endswith(_READ_WHEN)
            ]
            listed = ", ".join(f'"{name}"' for name in columns)
            rows = con.sql(f'select cast(row({listed}) as varchar) from {database}."{schema}"."{table}"').fetchall()
            state[f"{schema}.{table}"] = sorted(row for (row,) in rows)
    operations = runtime.operations
    state["quarantine"] = sorted(
        repr((row.system_code, row.stream, row.entity, row.rule, row.status, row.position))
        for row in operations.quarantined(status="pending")
    )
    state["incidents"] = sorted(
        repr((incident.kind, incident.system_code, incident.stream, incident.file))
        for incident in operations.incidents.find(status="open")
        # Refused rows are told by their share of the last reading. A file is read once, so after a second run, whatever the first one
        # did, that share is of nothing; the rows themselves are compared above.
        if not (incident.kind == "rows_quarantined" and incident.file is not None)
    )
    assert len(state["canonical.order"]) > 1_000
    return state


def differing(found: State, expected: Mapping[str, list[str]]) -> dict[str, tuple[list[str], list[str]]]:
    """Table -> (rows too many, rows missing), three of each: what to look at when a drill fails."""
    return {
        table: (
            sorted(set(found.get(table, [])) - set(rows))[:3],
            sorted(set(rows) - set(found.get(table, [])))[:3],
        )
        for table, rows in expected.items()
        if found.get(table) != rows
    }
