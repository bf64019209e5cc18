"""What a run and a sync leave behind that people see: published tables, what both shops show; and how it is when nothing is killed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import sqlalchemy as sa

from assets.runtime import Runtime
from resources.operations.engine import POSTGRES_SCHEMA
from resources.operations.outbox import outbox
from tests.drills.place import Place, State

TEN = datetime(2026, 5, 18, 10, tzinfo=UTC)


@dataclass(frozen=True)
class Undisturbed:
    """What there is when nothing is killed: after reading, and after the sync. ``folder``: a copy of the data after reading."""

    folder: Path
    read: State
    published: dict[str, int]
    shops: dict[str, Any]


def published(runtime: Runtime) -> dict[str, int]:
    """Table -> rows of what analysts open, and whether the report is there."""
    with duckdb.connect(str(runtime.settings.bi_path), read_only=True) as con:
        names = con.sql("select schema_name, table_name from duckdb_tables()").fetchall()
        tables = {
            f"{schema}.{table}": con.sql(f'select count(*) from "{schema}"."{table}"').fetchall()[0][0]
            for schema, table in names
            if table not in ("fct_extract", "fct_exchange", "fct_incident")
        }
    return tables | {"report": int(runtime.settings.report_path.is_file())}


def shown(here: Place) -> dict[str, Any]:
    """What buyers see in both shops, and how many rows a doubled write would add to."""
    tables = here.sandbox.shop_fr.webservice.tables
    return {
        "shop_fr": here.sandbox.shop_fr.shown(),
        "shop_be": here.sandbox.shop_be.shown(),
        "rows": {
            name: len(list(tables[name].ids())) for name in ("specific_prices", "order_histories", "stock_availables")
        },
    }


def expire_leases(runtime: Runtime) -> None:
    """The killed process's claims run out: the clock of a drill stands still, so they are made old instead of waited for."""
    long_ago = datetime(2000, 1, 1, tzinfo=UTC)
    url = runtime.settings.operations_url
    places = {None: POSTGRES_SCHEMA} if url.startswith("postgresql") else {}
    engine = sa.create_engine(url, execution_options={"schema_translate_map": places})
    with engine.begin() as connection:
        claimed = sa.update(outbox).where(outbox.c.lease_until_at.is_not(None))
        connection.execute(claimed.values(lease_until_at=long_ago))
    engine.dispose()
