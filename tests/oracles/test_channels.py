"""What channels should show: SQL and the naive oracle say the same of small random retailers, and a sync leaves nothing to do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from random import Random
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlglot
from sqlglot import ErrorLevel, exp

from tests.oracles import k4
from tests.oracles.channels import json_value, outcome
from tests.oracles.common import Row
from tests.oracles.models import project, rows_of, run_kpis
from tests.oracles.worlds import make_tables

SEEDS = range(8)
SYSTEMS = {"web-fr": "shop_fr", "web-be": "shop_be"}
FURTHER = {
    "item": ("staging.product", "system_code varchar, product_external_id varchar, parent_external_id varchar"),
    "shown_price": (
        "staging.channel_price",
        "system_code varchar, channel_code varchar, product_external_id varchar, is_published boolean",
    ),
    "shop_order": (
        "staging.sales_order",
        "system_code varchar, order_external_id varchar, observed_at timestamptz",
    ),
    "system": ("retailer.system", ""),
    "stock_master": ("referentials.stock_master", "location_code varchar, system_code varchar"),
    "price_master": ("referentials.price_master", "entity varchar, price_list_code varchar, system_code varchar"),
}


def make_world(seed: int) -> dict[str, list[Row]]:
    """A random retailer with what a sync needs besides: held promotions, variants of one product, parcel numbers, totals."""
    tables, random = make_tables(seed), Random(seed)
    clock = tables["run_clock"][0]["as_of_at"]
    for channel in tables["channel"]:
        channel["system_code"] = SYSTEMS.get(channel["channel_code"])
    tables["system"] = [
        {"system_code": "shop_fr", "kind": "prestashop"},
        {"system_code": "shop_be", "kind": "woocommerce"},
    ]
    tables["item"], tables["shown_price"] = [], []
    for code, system in SYSTEMS.items():
        mine = [row for row in tables["listing"] if row["channel_code"] == code]
        for place, row in enumerate(mine):
            _hold_a_promotion(random, tables, row, clock)
            parent = f"P{place // 3}" if place % 5 else None
            tables["item"].append(
                {
                    "system_code": system,
                    "product_external_id": row["product_external_id"],
                    "parent_external_id": parent,
                }
            )
        parents = {row["parent_external_id"] for row in tables["item"] if row["system_code"] == system} - {None}
        for parent in sorted(parents):
            is_shown = random.random() < 0.8
            tables["shown_price"].append(
                {
                    "system_code": system,
                    "channel_code": code,
                    "product_external_id": parent,
                    "is_published": is_shown,
                }
            )
            for row in _children(tables, system, code, parent):
                if system == "shop_fr" or not is_shown:
                    row["is_published"] = is_shown
    for shipment in tables["shipment"]:
        shipment["tracking_number"] = random.choice(["6A1", "DP 22/3", 'X"1', "B\\2", None, "Ç3", "9Z"])
    for order in tables["sales_order"]:
        order["system_code"] = SYSTEMS.get(order["channel_code"], "other")
        order["tracking_number"] = random.choice([None, None, None, "HELD1"])
        lines = [line for line in tables["sales_order_line"] if line["order_id"] == order["order_id"]]
        for line in lines:
            line["tax_minor"] = random.choice([0, 33, 167])
        order |= {"shipping_minor": 490, "fee_minor": -10, "discount_minor": 100}
        total = sum(line["net_minor"] + line["tax_minor"] for line in lines) + 380
        order["total_minor"] = total + random.choice([0, 0, 0, 1, -1, 500])
        if order["status"] == "payable" and random.random() < 0.5:
            order["payable_at"] = clock - timedelta(hours=random.choice([1, 24, 25]))
    tables["shop_order"] = [
        {"system_code": o["system_code"], "order_external_id": o["order_external_id"], "observed_at": clock}
        for o in tables["sales_order"]
    ]
    return tables


def _children(tables: Mapping[str, Sequence[Row]], system: str, code: str, parent: str) -> list[Row]:
    mine = {
        row["product_external_id"]
        for row in tables["item"]
        if row["system_code"] == system and row["parent_external_id"] == parent
    }
    return [row for row in tables["listing"] if row["channel_code"] == code and row["product_external_id"] in mine]


def _hold_a_promotion(random: Random, tables: dict[str, list[Row]], row: Row, clock: datetime) -> None:
    """None, one that the master declared (a little wrong at times), or any."""
    price_list = "WEB-FR" if row["channel_code"] == "web-fr" else "WEB-BE"
    declared = [
        promotion
        for promotion in tables["promotion"]
        if promotion["price_list_code"] == price_list and promotion["product_id"] == row["product_id"]
    ]
    if random.random() < 0.3:
        row["promotion_starts_at"] = None
        return
    if not declared or random.random() < 0.15:
        row |= {"promotion_minor": 700, "promotion_ends_at": clock + timedelta(days=random.choice([-3, 3]))}
        return
    one = random.choice(declared)
    regular = k4.expected_at(tables, price_list, row["product_id"], clock)
    row["promotion_minor"] = k4.promotion_price(one, regular.regular if regular else 1000)
    row["promotion_starts_at"], row["promotion_ends_at"] = one["starts_at"], one["ends_at"]
    match random.randint(0, 5):
        case 0:
            row["promotion_starts_at"] = clock + timedelta(days=1)
        case 1:
            row["promotion_ends_at"] = None
        case 2:
            row["promotion_minor"] += 40
        case 3:
            row["promotion_starts_at"] = None


def build(tables: Mapping[str, Sequence[Row]]) -> duckdb.DuckDBPyConnection:
    """Every model of the schema channels, and those of kpis that they read, on these rows."""
    con = run_kpis(tables, _kpis_read())
    con.execute("create schema if not exists staging")
    con.execute("create schema if not exists channels")
    for name, (table, columns) in FURTHER.items():
        if columns:
            con.execute(f"create or replace table {table} ({columns})")
        else:
            con.execute(f"delete from {table}")
        if rows := list(tables.get(name, [])):
            given = pa.Table.from_pylist(rows)
            con.register("given_rows", given)
            names = ", ".join(given.column_names)
            con.execute(f"insert into {table} ({names}) select {names} from given_rows")
            con.unregister("given_rows")
    for model in project().select(["channels"]):
        con.execute(f"create or replace table {model.name} as {model.sql}")
    return con


@cache
def _kpis_read() -> list[str]:
    read = {one.name for model in project().select(["channels"]) for one in project().ancestors(model.name)}
    return sorted(name for name in read if name.startswith("kpis.") or name == "referentials.unacknowledged_line")


def written(con: duckdb.DuckDBPyConnection) -> dict[tuple[str, str, str], tuple[Any, Any, int, int]]:
    """channels.difference in the oracle's words."""
    return {
        (row["channel_code"], row["attribute"], row["external_id"]): (
            json_value(row["before_value"]),
            json_value(row["after_value"]),
            row["units_at_risk"],
            row["value_at_risk_minor"],
        )
        for row in rows_of(con, "select * from channels.difference")
    }


@pytest.mark.parametrize("seed", SEEDS)
def test_models_equal_the_oracle_and_a_sync_leaves_nothing(seed: int) -> None:
    tables = make_world(seed)
    con = build(tables)
    expected = outcome(tables)

    found = written(con)
    assert not {key: (found.get(key), expected.writes.get(key)) for key in found.keys() ^ expected.writes.keys()}
    assert not {key: (found[key], wanted) for key, wanted in expected.writes.items() if found[key] != wanted}
    unwritable = rows_of(
        con, "select channel_code, attribute, external_id, product_id, reason from channels.unwritable"
    )
    assert {tuple(row.values()) for row in unwritable} == expected.unwritable
    assert len(unwritable) == len(expected.unwritable)
    lines: dict[str, list[tuple[Any, ...]]] = {
        row["order_id"]: [] for row in rows_of(con, "select order_id from channels.order_to_send")
    }
    query = "select order_id, sku, quantity, net_minor, tax_minor from channels.order_to_send_line"
    for order_id, *line in con.execute(query).fetchall():
        lines[order_id].append(tuple(line))
    assert {order: sorted(mine) for order, mine in lines.items()} == expected.to_send
    work = rows_of(con, "select order_id, problem from channels.order_worklist")
    assert {row["order_id"]: row["problem"] for row in work} == expected.work
    for check in project().all_checks(["channels"]):
        assert rows_of(con, check.query) == [], check.name

    _apply(tables, {key: after for key, (_, after, _, _) in found.items() if key[1] != "shipment"})
    again = {key: value for key, value in written(build(tables)).items() if key[1] != "shipment"}
    # A WooCommerce product shown again shows its variants as they were left: those that must go are seen then.
    assert {attribute for _, attribute, _ in again} <= {"is_published"}
    assert {channel for channel, _, _ in again} <= {"web-be"}, again
    _apply(tables, {key: after for key, (_, after, _, _) in again.items()})
    _apply(tables, {key: after for key, (_, after, _, _) in found.items() if key[1] == "shipment"})
    last = written(build(tables))
    # A shipped order that the master knew is off its stock: that alone may ask for other quantities.
    assert {attribute for _, attribute, _ in last} <= {"published_qty"}


def _apply(tables: dict[str, list[Row]], writes: Mapping[tuple[str, str, str], Any]) -> None:
    """The channels take every write: what they show from now on. When they were seen is left: what is old stays so."""
    for (code, attribute, external_id), after in writes.items():
        system = SYSTEMS[code]
        if attribute == "shipment":
            order = next(
                row
                for row in tables["sales_order"]
                if row["channel_code"] == code and row["order_external_id"] == external_id
            )
            order |= after
            continue
        items = [
            row
            for row in tables["listing"]
            if row["channel_code"] == code and row["product_external_id"] == external_id
        ]
        if attribute == "is_published" and not items:
            items = _children(tables, system, code, external_id)
            for parent in tables["shown_price"]:
                if parent["system_code"] == system and parent["product_external_id"] == external_id:
                    parent["is_published"] = after
        assert items, external_id
        for row in items:
            if attribute == "promotion":
                row["promotion_minor"] = after and after["minor"]
                for name in ("starts_at", "ends_at"):
                    text = after and after[name]
                    row[f"promotion_{name}"] = text and datetime.fromisoformat(text).astimezone(UTC)
            else:
                row[attribute] = after


def test_every_verdict_and_reason_is_met() -> None:
    """The random worlds are nasty enough: nothing that the definitions tell apart stays untried."""
    met: set[str] = set()
    for seed in range(16):
        sync = outcome(make_world(seed))
        met |= {attribute for _, attribute, _ in sync.writes} | {reason for *_, reason in sync.unwritable}
        met |= set(sync.work.values()) | ({"sent"} if sync.to_send else set())
    allowed = {
        value
        for check in project().models["channels.unwritable"].checks
        if check.kind == "accepted_values" and check.name.startswith("reason")
        for value in sqlglot.parse_one(check.query, read="duckdb").find_all(exp.Literal)
    }
    reasons = {literal.this for literal in allowed}
    assert reasons
    places = {"published_qty", "regular_minor", "promotion", "is_published", "shipment"}
    problems = {"refused", "no_master_sku", "incomplete", "unanswered", "sent"}
    assert not (reasons | places | problems) - met


def test_models_are_portable() -> None:
    """Every model can be said in Spark's SQL, and uses none of the functions that only DuckDB has."""
    for model in project().select(["channels"]):
        spark = sqlglot.transpile(model.sql, read="duckdb", write="spark", unsupported_level=ErrorLevel.RAISE)[0]
        unknown = {call.name.lower() for call in sqlglot.parse_one(spark, read="spark").find_all(exp.Anonymous)}
        assert not unknown, f"{model.path}: {unknown} is no function of Spark's that sqlglot knows"


def test_json_is_spelt_as_python_spells_it() -> None:
    """`json_value` would notice another spelling."""
    assert json_value('{"minor": 1, "starts_at": null}') == {"minor": 1, "starts_at": None}
    with pytest.raises(AssertionError):
        json_value(json.dumps({"minor": 1, "starts_at": None}, separators=(",", ":")))
