"""The steps of an erasure. Each may be repeated: one that was stopped is finished by asking again."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import polars as pl

from resources.collecting import SEALED_CONTEXT
from resources.erasure import payloads
from resources.erasure.person import Person
from resources.landing import Landing
from resources.operations import Operations
from resources.privacy import PiiStore
from resources.spark.building import clear
from resources.spark.store import Store
from resources.warehouse import Warehouse
from resources.warehouse.changes import forget

TOKEN_COLUMNS = ("email_token", "phone_token", "name_token")


@dataclass(frozen=True)
class Erasure:
    """What one erasure removed, in rows, files or values by kind."""

    erasure_id: str
    removed: Mapping[str, int]


def erase(
    person: Person,
    *,
    erasure_id: str,
    warehouse: Warehouse,
    operations: Operations,
    landing: Landing,
    values: PiiStore,
    kpi_tables: Collection[str],
    now: datetime,
    shared: Store | None = None,
) -> Erasure:
    """Remove a person from landing, quarantine, the table of personal values, canonical files and every table that holds a token.

    The warehouse is written anew, so that nothing stays in its free blocks, and what is published is published again, with
    ``kpi_tables``. ``shared``: what a cluster reads and writes; all of it is removed, and the next run writes it anew. What was sold
    to them stays, without anything that tells who it was. Nothing is read meanwhile; raises RetryableError when a reading does not
    end for two minutes.
    """
    # A reading that is under way holds what it has received and would land it behind our back. The lane's readings of single orders
    # wait too, for some seconds to minutes: hints are kept.
    with landing.without_readers():
        removed = {
            "rows of received payloads": _from_landing(person, landing, erasure_id),
            "quarantined rows": _from_quarantine(person, operations, landing, erasure_id, now),
            "rows of canonical files": _from_canonical_files(person, landing.canonical_dir),
            **(
                {"folders shared with a cluster": _from_shared(warehouse, shared)}
                if shared and shared.here.exists()
                else {}
            ),
            "rows of the warehouse and marts": _from_warehouse(person, warehouse, kpi_tables),
            # Last: their values tell what to look for, should the erasure be stopped before.
            "personal values": values.erase_all(person.tokens),
        }
    return Erasure(erasure_id, removed)


def _from_landing(person: Person, landing: Landing, erasure_id: str) -> int:
    erased = 0
    for raw in landing.raw_files():

        def change(data: bytes, system_code: str = raw.system_code, stream: str = raw.stream) -> tuple[bytes, int]:
            return payloads.without(data, person, system_code=system_code, stream=stream, erasure_id=erasure_id)

        erased += _rewritten(landing, raw.path, change)
    return erased


def _rewritten(landing: Landing, path: Path, change: Callable[[bytes], tuple[bytes, int]]) -> int:
    before = landing.read_file(path)
    after, erased = change(before)
    if erased:
        landing.replace_file(path, after)
    return erased


def _from_quarantine(person: Person, operations: Operations, landing: Landing, erasure_id: str, now: datetime) -> int:
    erased = 0
    for row in operations.quarantined():
        raw = landing.sealer.open(row.raw) if row.is_sealed else row.raw
        context = row.context.encode("utf-8", "surrogateescape")
        if row.context.startswith(SEALED_CONTEXT):
            context = landing.sealer.open(bytes.fromhex(row.context.removeprefix(SEALED_CONTEXT)))
        found = sum(
            payloads.without(data, person, system_code=row.system_code, stream=row.stream, erasure_id=erasure_id)[1]
            for data in (raw, context)
        )
        if found:
            left = f"{payloads.MARK} {erasure_id}".encode()
            operations.erasures.empty_quarantined(row.quarantine_id, raw=left, now=now)
            erased += 1
    return erased


def _from_canonical_files(person: Person, folder: Path) -> int:
    erased = 0
    for path in sorted(folder.glob("*/*.parquet")):
        held = [name for name in TOKEN_COLUMNS if name in pl.read_parquet_schema(path)]
        if not held:
            continue
        frame = pl.read_parquet(path)
        is_theirs = pl.any_horizontal(pl.col(name).is_in(list(person.tokens)) for name in held).fill_null(value=False)
        touched = frame.filter(is_theirs).height
        if touched:
            cleaned = frame.with_columns(
                pl.when(pl.col(name).is_in(list(person.tokens))).then(None).otherwise(pl.col(name)).alias(name)
                for name in held
            )
            temporary = path.with_suffix(".tmp")
            cleaned.write_parquet(temporary, compression="zstd", compression_level=1)
            os.replace(temporary, path)
            erased += touched
    return erased


def _from_shared(warehouse: Warehouse, shared: Store) -> int:
    """Files are never changed in place, so all go: which of them hold a token is not asked."""
    with warehouse.writer(purpose="privacy erase") as con:
        return clear(con, shared)


def _from_warehouse(person: Person, warehouse: Warehouse, kpi_tables: Collection[str]) -> int:
    with warehouse.writer(purpose="privacy erase") as con:
        # Rows change that no log tells of: the next run builds all models whole. First, should the erasure be stopped.
        forget(con)
        erased = _from_tables(person, con)
    warehouse.rewrite(purpose="privacy erase")
    if warehouse.bi_path.exists():
        warehouse.publish(kpi_tables=kpi_tables)
    return erased


def _from_tables(person: Person, con: duckdb.DuckDBPyConnection) -> int:
    """Tokens wherever a table of ours holds them, in the warehouse and the marts; canonical rows get a new version."""
    erased = 0
    tokens = sorted(person.tokens)
    versioned = {
        tuple(row)
        for row in con.execute(
            "select database_name, schema_name, table_name from duckdb_columns() where column_name = '_row_version'"
        ).fetchall()
    }
    texts = con.execute(
        """select database_name, schema_name, table_name, column_name from duckdb_columns()
        where database_name in ('wh', 'mart') and data_type = 'VARCHAR' and not internal order by all"""
    ).fetchall()
    for database, schema, table, column in texts:
        place = f'{database}."{schema}"."{table}"'
        # Some keys are made of a token (`email:…`): what is left of them tells nobody any more.
        test, value = f'regexp_matches("{column}", ?)', f"regexp_replace(\"{column}\", ?, '{payloads.MARK}', 'g')"
        arguments = ["|".join(tokens)]
        touched = con.execute(f"select count(*) from {place} where {test}", arguments).fetchall()[0][0]
        if not touched:
            continue
        if column in TOKEN_COLUMNS:
            value, setting = "null", []
        else:
            setting = arguments
        version = (
            f", _row_version = (select max(_row_version) + 1 from {place})"
            if (database, schema, table) in versioned
            else ""
        )
        con.execute(f'update {place} set "{column}" = {value}{version} where {test}', [*setting, *arguments])
        erased += touched
    return erased
