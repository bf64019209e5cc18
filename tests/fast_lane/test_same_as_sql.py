"""The book after some orders says what the SQL says once the same orders are loaded: quantities and proofs, row by row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random
from typing import Any

import duckdb
import pytest

from resources.fast_lane.book import Book
from resources.fast_lane.events import OrderEvent, OrderLine
from resources.fast_lane.snapshot import Snapshot, read_tables
from tests.oracles.common import Row
from tests.oracles.models import rows_of, run_kpis
from tests.oracles.worlds import make_tables

SEEDS = range(8)
SYSTEMS = {"web-fr": "shop_fr", "web-be": "shop_be", "marketplace": "mkp", "stores-fr": "pos", "stores-be": "pos"}
MODELS = (
    "referentials.unacknowledged_line",
    "kpis.channel_utc_day",
    "kpis.k1b_pool",
    "kpis.k1b_expected",
    "kpis.k1b_listing",
)
EXPECTED = """
    select expected.channel_code, expected.product_id, expected.expected_qty, expected.proof
    from kpis.k1b_expected as expected"""


def snapshot_of(tables: dict[str, list[Row]]) -> tuple[Snapshot, dict[tuple[str, str], tuple[int | None, str | None]]]:
    """What the main job would leave of these tables, and what the SQL expects of each channel and product."""
    con = run_kpis(tables, MODELS)
    _add_staging(con, tables)
    expected = {
        (row["channel_code"], row["product_id"]): (row["expected_qty"], row["proof"]) for row in rows_of(con, EXPECTED)
    }
    return read_tables(con), expected


def _add_staging(con: duckdb.DuckDBPyConnection, tables: dict[str, list[Row]]) -> None:
    con.execute("create schema if not exists staging")
    con.execute(
        "create or replace table staging.sales_order as select system_code, order_external_id, channel_code, order_number, "
        "cast(null as varchar) as origin_channel_code, cast(null as varchar) as origin_order_number, ordered_at, "
        "ordered_at as observed_at from referentials.sales_order"
    )
    con.execute("create or replace table staging.product as select 'erp' as system_code")
    con.execute("create or replace table staging.master_product as select product_id, sku from referentials.product")
    systems = ", ".join(f"('{system}')" for system in sorted(set(SYSTEMS.values())))
    con.execute(
        "create or replace table referentials.product_xref as select systems.system_code, "
        f"product_id as product_external_id, product_id from referentials.product cross join (values {systems}) "
        "as systems (system_code)"
    )


def event_of(order: Row, lines: Sequence[Row], observed_at: datetime) -> OrderEvent:
    """The order as a connector would show it."""
    return OrderEvent(
        system_code=order["system_code"],
        order_external_id=order["order_external_id"],
        channel_code=order["channel_code"],
        order_number=order["order_number"],
        origin_channel_code=None,
        origin_order_number=None,
        location_code=order["location_code"],
        ordered_at=order["ordered_at"],
        is_cancelled=order["cancelled_at"] is not None,
        status=order["status"],
        fulfilled_by=order["fulfilled_by"],
        lines=tuple(
            OrderLine(
                line["line_id"],
                line["product_id"] or "unheard of",
                line["sku"],
                line["quantity"],
                line["cancelled_qty"],
            )
            for line in lines
        ),
        observed_at=observed_at,
    )


def earlier(order: Row, lines: list[Row], dice: Random) -> tuple[Row, list[Row]]:
    """The same order as it may have stood before: not cancelled yet, with other quantities, or a line more."""
    status = dice.choice(["pending", "payable", "payable", order["status"]])
    cancelled_at = None if status != order["status"] else order["cancelled_at"]
    before = [
        line | {"quantity": max(1, line["quantity"] + dice.choice([-1, 0, 1])), "cancelled_qty": 0} for line in lines
    ]
    return order | {"status": status, "cancelled_at": cancelled_at}, before


@pytest.mark.parametrize("seed", SEEDS)
def test_the_book_is_the_sql(seed: int) -> None:
    dice = Random(seed)
    tables = make_tables(seed)
    clock: datetime = tables["run_clock"][0]["as_of_at"]
    for order in tables["sales_order"]:
        order["system_code"] = SYSTEMS[order["channel_code"]]
        if dice.random() < 0.3:  # more of them near the clock, where the master does not know them yet
            order["ordered_at"] = clock - timedelta(seconds=dice.randint(0, 7200))
    lines_of: dict[Any, list[Row]] = {}
    for line in tables["sales_order_line"]:
        lines_of.setdefault(line["order_id"], []).append(line)
    late = [order for order in tables["sales_order"] if dice.random() < 0.5]
    base_orders = [order for order in tables["sales_order"] if order not in late]
    base_lines = [line for order in base_orders for line in lines_of.get(order["order_id"], [])]
    for order in late:
        if dice.random() < 0.5:  # the snapshot knew an earlier state of it
            before, lines = earlier(order, lines_of.get(order["order_id"], []), dice)
            base_orders.append(before)
            base_lines += lines
    snapshot, was = snapshot_of(tables | {"sales_order": base_orders, "sales_order_line": base_lines})
    _, becomes = snapshot_of(tables)

    book = Book(snapshot)
    assert {key: _said(book, key) for key in was} == was
    # Tickets are known for a week only: what is older is left to the main job by the book.
    events = [
        event_of(order, lines_of.get(order["order_id"], []), clock + timedelta(seconds=number))
        for number, order in enumerate(late)
    ]
    dice.shuffle(events)
    for event in events:
        book.apply([event], now=clock)
    assert {key: _said(book, key) for key in becomes} == becomes
    assert not book.apply(events, now=clock), "the same orders again change nothing"


def _said(book: Book, key: tuple[str, str]) -> tuple[int | None, str | None]:
    expected = book.expected(*key)
    return expected.quantity, expected.proof


def test_the_worlds_are_worth_it() -> None:
    """Some of what is compared really moves, or the test above says little."""
    moved = 0
    for seed in SEEDS[:4]:
        tables = make_tables(seed)
        for order in tables["sales_order"]:
            order["system_code"] = SYSTEMS[order["channel_code"]]
        _, full = snapshot_of(tables)
        _, none = snapshot_of(tables | {"sales_order": [], "sales_order_line": []})
        moved += sum(full[key] != none[key] for key in full)
    assert moved > 20
