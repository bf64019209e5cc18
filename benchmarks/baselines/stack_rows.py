"""The same files the way dlt's documentation shows: a generator of Python rows per feed, which dlt types, flattens and loads as they are.

What is raw is made canonical by the same queries (`stack_feeds`), in the database: extract and load first, transform afterwards.
Nothing of Étalon is imported.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import dlt
import duckdb
from dlt.common.json import json
from stack_feeds import ARTICLE_TEXTS, FEEDS, ITEMS, TABLES, Queries, articles, header, newest, separator

CHUNK = 10_000
_ENCODING = {"erp": "latin-1"}
_TICKET = ("ticket", "store", "channel", "sold_at", "currency", "total", "filename")


@dlt.source(name="retailer")
def files(folder: Path) -> Iterator[Any]:
    """One resource a feed, named like it. Every column is declared as text: one without a value would not be made otherwise."""
    for feed, (system, pattern, newest_only, _) in FEEDS.items():
        paths = sorted((folder / system).glob(pattern))
        columns = [*header(paths[0], feed), "filename"]
        yield _resource(feed, _csv_rows(feed, paths[-1:] if newest_only else paths), columns)
    yield _resource("pos_tickets", _tickets(sorted((folder / "pos").glob("SLSRPT_*.jsonl"))), _TICKET)
    scans = ("id", "carrier", "tracking", "event", "at", "filename")
    yield _resource("carrier_scans", _scans(sorted((folder / "carrier").glob("IFTSTA_*.json"))), scans)
    catalogue = _chunks(articles(newest(folder, "erp", "PRICAT_*.xml")))
    yield _resource("erp_catalogue", catalogue, ARTICLE_TEXTS)


def transform(queries: Queries, schema: str) -> None:
    """Canonical tables from the raw ones, which are in ``schema``."""
    con, made = queries.con, set()
    con.execute("create schema if not exists canonical")
    for feed, table, key, query in TABLES:
        con.execute(
            f"create or replace temp view rows as select *, seen_at(filename) as observed_at from {schema}.{feed}"
        )
        if feed in ITEMS:
            parent, items = ITEMS[feed]
            con.execute(
                f"create or replace temp view items as select rows.{parent}, rows.observed_at, item.* from {schema}.{feed}__{items} item "
                "join rows on item._dlt_parent_id = rows._dlt_id"
            )
        if feed == "marketplace_orders":
            queries.make_tokens()
        target = f'canonical."{table}"'
        begin = f"insert into {target}" if table in made else f"create table {target} as"
        con.execute(f"{begin} {queries.query(feed, table, key, query)}")
        made.add(table)


def line_qty(con: duckdb.DuckDBPyConnection) -> int:
    """Order lines that were loaded."""
    return int(con.execute("select count(*) from canonical.order_line").fetchall()[0][0])


def _resource(feed: str, rows: Iterator[list[dict[str, Any]]], texts: Any) -> Any:
    columns = {name: {"data_type": "text"} for name in texts}
    return dlt.resource(rows, name=feed, columns=columns, write_disposition="replace")


def _chunks(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while chunk := list(islice(rows, CHUNK)):
        yield chunk


def _csv_rows(feed: str, paths: list[Path]) -> Iterator[list[dict[str, Any]]]:
    for path in paths:
        with path.open(encoding=_ENCODING.get(FEEDS[feed][0], "utf-8"), newline="") as lines:
            rows = csv.DictReader((line for line in lines if not line.startswith("#")), delimiter=separator(feed))
            yield from _chunks(
                {**{name: value or None for name, value in row.items()}, "filename": path.name} for row in rows
            )


def _tickets(paths: list[Path]) -> Iterator[list[dict[str, Any]]]:
    for path in paths:
        with path.open("rb") as lines:
            yield [{**json.loadb(line), "filename": path.name} for line in lines]


def _scans(paths: list[Path]) -> Iterator[list[dict[str, Any]]]:
    for path in paths:
        scans = iter(json.loadb(path.read_bytes())["scans"])
        yield from _chunks({**scan, "filename": path.name} for scan in scans)
