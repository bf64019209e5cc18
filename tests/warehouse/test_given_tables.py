"""The tables that no model makes: made where they are missing, and completed where an earlier release made them."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import polars as pl

from assets.runtime import extract_frame, stream_frame
from resources.connectors.sdk.stream import Stream
from resources.given_tables import META, create_given_tables
from resources.operations import Manifest


class ReadsTwoStreams:
    """As much of a connector as tells what it reads."""

    def streams(self) -> tuple[Stream, ...]:
        return (
            Stream("items", "/items", ("product", "channel_stock"), ("id",), "full_snapshot"),
            Stream("orders", "/orders", ("order",), ("id",), "updated_at", cursor_field="changed"),
        )


def test_an_older_warehouse_gains_the_columns_that_came_later_and_keeps_its_rows() -> None:
    con = duckdb.connect()
    con.execute("create schema meta")
    con.execute("create table meta.extract (system_code varchar, stream varchar, extract_id varchar)")
    con.execute("insert into meta.extract values ('shop', 'orders', 'E1')")
    for _ in range(2):  # the second time there is nothing to do
        create_given_tables(con)
        found = {row[0]: row[1] for row in con.execute("describe meta.extract").fetchall()}
        assert found.keys() == META["extract"].keys()
        assert found["is_loadable"] == "BOOLEAN"
        assert con.execute("select extract_id, is_loadable from meta.extract").fetchall() == [("E1", None)]


def test_every_stream_tells_what_it_gives() -> None:
    frame = stream_frame({"shop": ReadsTwoStreams()})  # type: ignore[dict-item]
    assert frame.columns == list(META["stream"])
    assert frame.rows() == [
        ("shop", "items", "product"),
        ("shop", "items", "channel_stock"),
        ("shop", "orders", "order"),
    ]
    assert stream_frame({}).columns == list(META["stream"])


def test_a_reading_tells_whether_it_could_be_loaded() -> None:
    at = datetime(2026, 5, 18, 10, tzinfo=UTC)
    manifest = Manifest(
        "E1", "shop", "orders", "R1", "failed", None, 0, 0, None, None, error="down", kind="hint", started_at=at
    )
    frame = extract_frame([manifest])
    assert set(frame.columns) == set(META["extract"])
    assert frame.select("kind", "is_loadable", "started_at", "finished_at").rows() == [("hint", False, at, None)]
    assert frame.schema["finished_at"] == pl.Datetime("us", "UTC")
