"""K1b, channel stock accuracy, read naively from docs/kpis.md."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.oracles.common import Ledger, Outcome, Row, Tables, as_of, date_of, index, local_day, seconds

GAPS = ("stale", "no_stock_record", "kit_without_components")
DAY = 86400


@dataclass
class Pool:
    """What a channel may draw on for one stocked item."""

    available: int
    oldest_as_of_at: datetime
    moved: list[datetime]
    proof: str


def outcome(tables: Tables) -> Outcome:
    """All of K1b; ``tables["k1b_listing"]`` has state, kind, reason and expected quantity of each listing."""
    result, ledger = Outcome(), Ledger()
    clock = as_of(tables)
    products = index(tables["product"], "product_id")
    unacknowledged = _unacknowledged(tables)
    listings = []
    for channel in tables["channel"]:
        if channel["kind"] != "web":
            continue
        code = channel["channel_code"]
        assortment = {
            price["product_id"]: price["gross_minor"]
            for price in tables["price"]
            if price["price_list_code"] == channel["price_list_code"]
            and price["valid_from_at"] <= clock
            and (price["valid_to_at"] is None or clock < price["valid_to_at"])
            and price["product_id"] in products
            and products[price["product_id"]]["is_active"]
        }
        seen = [
            row for row in tables["listing"] if row["channel_code"] == code and row["stock_observed_at"] is not None
        ]
        shown_products = {row["product_id"] for row in seen}
        for product_id in assortment:
            if product_id not in shown_products:
                seen.append({"product_external_id": None, "product_id": product_id, "stock_observed_at": None})
        for row in seen:
            listings.append((channel, row, assortment))

    for channel, row, assortment in listings:
        result.instants.append(row["stock_observed_at"])
        listing = _judge(tables, channel, row, assortment, products, unacknowledged)
        result.tables.setdefault("k1b_listing", []).append(listing)
        if listing["exclusion_reason"] is not None:
            result.exclude(listing["exclusion_reason"], 1, {"channel": channel["channel_code"]})
        _list_work(result, listing)
        if listing["exclusion_reason"] is not None and listing["exclusion_reason"] not in GAPS:
            continue
        rated = int(listing["exclusion_reason"] is None)
        shown, expected = listing["shown_qty"], listing["expected_qty"]
        exact = int(listing["state"] == "ok")
        weight = listing["sold_28d_qty"] * rated
        places = {
            "company": channel["company_code"],
            "channel": channel["channel_code"],
            "category": products[row["product_id"]]["category_code"],
        }
        day = date_of(local_day(tables["channel_day"], "channel_code", channel["channel_code"], clock))
        for measure, top, bottom in (
            ("exact", exact, rated),
            ("sellability", int(rated and (shown > 0) == (expected > 0)), rated),
            ("exact_weighted_28d", weight * exact, weight),
            ("oversell_units", max(0, shown - expected) if rated else 0, None),
            ("hidden_units", max(0, expected - shown) if rated else 0, None),
        ):
            ledger.record(measure, day, places, (top, bottom, rated, 1), ("all", "day"))

    lines_by_order: dict[str, list[Row]] = {}
    for line in tables["sales_order_line"]:
        lines_by_order.setdefault(line["order_id"], []).append(line)
    channels = index(tables["channel"], "channel_code")
    for order in tables["sales_order"]:
        channel = channels[order["channel_code"]]
        if channel["kind"] not in ("web", "marketplace"):
            continue
        is_cancelled = order["status"] == "cancelled" or order["cancelled_at"] is not None
        for line in lines_by_order.get(order["order_id"], []):
            failed = (line["cancel_reason"] == "stock" and line["cancelled_qty"] > 0) or (
                is_cancelled and order["cancel_reason"] == "stock"
            )
            places = {"company": channel["company_code"], "channel": channel["channel_code"]}
            ledger.record("stock_cancel_lines", None, places, (int(failed), 1, 1, 1), ("all",))
    result.values = ledger.figures()
    result.work_list.sort(key=lambda item: (-(item["value_at_risk_minor"] or 0), -item["units_at_risk"]))
    return result


def _unacknowledged(tables: Tables) -> dict[tuple[str, str], list[tuple[int, datetime]]]:
    """(location, stocked product) -> units sold that the master does not know, with the order's instant."""
    clock = as_of(tables)
    channels = index(tables["channel"], "channel_code")
    levels = index(tables["stock_level"], "location_code", "product_id")
    found: dict[tuple[str, str], list[tuple[int, datetime]]] = {}
    for order in tables["sales_order"]:
        channel = channels[order["channel_code"]]
        if order["status"] in ("cancelled", "failed", "refunded") or order["cancelled_at"] is not None:
            continue
        if order["fulfilled_by"] != "retailer":
            continue
        location = order["location_code"] or channel["ships_from_code"]
        known_at = min(
            (
                row["acknowledged_at"]
                for row in tables["order_acknowledgement"]
                if row["is_accepted"]
                and row["channel_code"] == order["channel_code"]
                and row["order_number"] == order["order_number"]
            ),
            default=None,
        )
        if channel["is_order_acknowledged"] and order["status"] in ("shipped", "delivered") and known_at is not None:
            continue
        for line in tables["sales_order_line"]:
            left = line["quantity"] - line["cancelled_qty"]
            if line["order_id"] != order["order_id"] or line["product_id"] is None or left <= 0:
                continue
            components = [
                (kit["component_product_id"], kit["component_qty"])
                for kit in tables["kit_component"]
                if kit["kit_product_id"] == line["product_id"]
            ] or [(line["product_id"], 1)]
            for product_id, each in components:
                level = levels.get((location, product_id))
                stock_as_of = clock if level is None else level["as_of_at"]
                if channel["is_order_acknowledged"]:
                    unknown = known_at is None or known_at > stock_as_of
                else:
                    unknown = order["ordered_at"] > stock_as_of
                if unknown:
                    found.setdefault((location, product_id), []).append((left * each, order["ordered_at"]))
    return found


def _pool(
    tables: Tables, channel: Row, product_id: str, unacknowledged: dict[tuple[str, str], list[tuple[int, datetime]]]
) -> Pool | None:
    places = {
        row["location_code"]
        for row in tables["channel_stock_location"]
        if row["channel_code"] == channel["channel_code"]
    }
    levels = [
        row for row in tables["stock_level"] if row["location_code"] in places and row["product_id"] == product_id
    ]
    if not levels:
        return None
    sold = [sale for place in places for sale in unacknowledged.get((place, product_id), [])]
    on_hand = sum(row["on_hand_qty"] for row in levels)
    committed = sum(0 if row["is_net"] else row["committed_qty"] for row in levels)
    reserved = sum(0 if row["is_net"] else row["reserved_qty"] for row in levels)
    damaged = sum(row["damaged_qty"] for row in levels)
    units = sum(quantity for quantity, _ in sold)
    available = on_hand - committed - reserved - damaged - units
    safety = channel["safety_stock_qty"] or 0
    return Pool(
        available=available,
        oldest_as_of_at=min(row["as_of_at"] for row in levels),
        moved=[row["changed_at"] for row in levels if row["changed_at"] is not None] + [at for _, at in sold],
        proof=f"on hand {on_hand} - committed {committed} - reserved {reserved} - damaged {damaged} "
        f"- unacknowledged {units} - safety stock {safety} = {available - safety}",
    )


def _limits(tables: Tables, products: dict[str, Row], product: Row) -> list[tuple[str, int]]:
    """The stocked items that limit a listing, with the units of each in one of it."""
    if product["kind"] != "kit":
        return [(product["product_id"], 1)]
    limits = []
    for kit in tables["kit_component"]:
        component = products.get(kit["component_product_id"])
        if kit["kit_product_id"] != product["product_id"] or component is None:
            continue
        if component["is_stock_tracked"] and component["kind"] not in ("service", "gift_card"):
            limits.append((component["product_id"], kit["component_qty"]))
    return limits


def _judge(
    tables: Tables,
    channel: Row,
    row: Row,
    assortment: dict[str, int],
    products: dict[str, Row],
    unacknowledged: dict[tuple[str, str], list[tuple[int, datetime]]],
) -> Row:
    clock = as_of(tables)
    product = products.get(row["product_id"])
    observed_at = row["stock_observed_at"]
    published: Any = row.get("published_qty")
    is_published = bool(row.get("is_published"))
    shown = max(0, published or 0) if is_published else 0
    listing: Row = {
        "channel_code": channel["channel_code"],
        "product_external_id": row["product_external_id"],
        "product_id": None if product is None else product["product_id"],
        "sku": row.get("sku") or (None if product is None else product["sku"]),
        "state": "orphan",
        "kind": None,
        "exclusion_reason": "orphan",
        "published_qty": published,
        "shown_qty": shown,
        "expected_qty": None,
        "sold_28d_qty": 0,
        "unit_value_minor": row.get("effective_minor"),
        "proof": None,
    }
    if product is None:
        return listing
    if listing["unit_value_minor"] is None:
        listing["unit_value_minor"] = assortment.get(product["product_id"])
    limits = _limits(tables, products, product)
    pools = [(_pool(tables, channel, item, unacknowledged), each, item) for item, each in limits]
    if product["kind"] == "service":
        reason = "service"
    elif product["kind"] == "gift_card":
        reason = "gift_card"
    elif product["kind"] != "kit" and not product["is_stock_tracked"]:
        reason = "not_stock_tracked"
    elif observed_at is not None and (not row["is_stock_managed"] or published is None):
        reason = "not_managed_on_channel"
    elif not product["is_active"]:
        reason = "inactive_product"
    elif product["product_id"] not in assortment and not is_published:
        reason = "not_listed"
    elif not limits:
        reason = "kit_without_components"
    elif any(pool is None for pool, _, _ in pools):
        reason = "no_stock_record"
    else:
        reason = None
    if reason is not None:
        return listing | {"state": "excluded", "exclusion_reason": reason}

    safety = channel["safety_stock_qty"] or 0
    found = [
        (max(0, pool.available - safety) // each, item, each, pool) for pool, each, item in pools if pool is not None
    ]
    expected, scarcest, each, pool = min(found, key=lambda limit: (limit[0], limit[1]))
    proof = pool.proof
    if product["kind"] == "kit":
        proof = f"component {products[scarcest]['sku'] or '?'}: {proof}, {each} in a kit"
    if channel["cap_qty"] is not None:
        expected = min(expected, channel["cap_qty"])
        proof += f", cap {channel['cap_qty']}"
    sold = 0
    for order in tables["sales_order"]:
        if order["channel_code"] != channel["channel_code"] or order["replaces_return_id"] is not None:
            continue
        if order["status"] in ("cancelled", "failed") or order["cancelled_at"] is not None:
            continue
        if order["ordered_at"] > clock or seconds(clock) - seconds(order["ordered_at"]) >= 28 * DAY:
            continue
        for line in tables["sales_order_line"]:
            if line["order_id"] == order["order_id"] and line["product_id"] == product["product_id"]:
                sold += max(0, line["quantity"] - line["cancelled_qty"])
    listing |= {"expected_qty": expected, "sold_28d_qty": sold, "proof": proof, "exclusion_reason": None}

    stale_after = channel["stock_stale_after_minutes"] * 60
    oldest = min(pool.oldest_as_of_at for _, _, _, pool in found)
    moved = [at for _, _, _, pool in found for at in pool.moved]
    if not is_published:
        return listing | {"state": "missing"}
    if shown == expected:
        return listing | {"state": "ok"}
    if seconds(clock) - seconds(oldest) > stale_after or seconds(clock) - seconds(observed_at) > stale_after:
        return listing | {"state": "stale", "exclusion_reason": "stale"}
    if moved and seconds(observed_at) - seconds(max(moved)) < channel["sync_promise_minutes"] * 60:
        return listing | {"state": "in_flight", "exclusion_reason": "in_flight"}
    return listing | {"state": "wrong", "kind": "oversell" if shown > expected else "hidden"}


def _list_work(result: Outcome, listing: Row) -> None:
    state = listing["state"]
    if state == "orphan":
        units = listing["shown_qty"]
    elif state in ("wrong", "missing"):
        units = abs(listing["shown_qty"] - listing["expected_qty"])
    else:
        return
    if units <= 0:
        return
    value = None if listing["unit_value_minor"] is None else units * listing["unit_value_minor"]
    names = "channel_code product_external_id product_id sku state kind published_qty expected_qty proof".split()
    result.work_list.append(
        {name: listing[name] for name in names} | {"units_at_risk": units, "value_at_risk_minor": value}
    )
