"""What channels should show, and which orders the master is to be told of, read naively from docs/sync.md."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tests.oracles import k1b, k2, k4
from tests.oracles.common import Row, Tables, as_of, half_up, index, seconds

HORIZON = timedelta(days=7)
NUMBER_WINDOW_S = 7 * 86400
PATIENCE_S = 24 * 3600
GOODS = ("service", "gift_card")

Key = tuple[str, str, str]  # channel, attribute, external id


@dataclass
class Sync:
    """``writes``: place -> (before, after, units, value); ``unwritable``: (channel, attribute, external id, product id, reason)."""

    writes: dict[Key, tuple[Any, Any, int, int]] = field(default_factory=dict)
    unwritable: set[tuple[str, str, str | None, str | None, str]] = field(default_factory=set)
    to_send: dict[str, list[tuple[str, int, int, int]]] = field(default_factory=dict)
    work: dict[str, str] = field(default_factory=dict)

    def judge(
        self, key: Key, product_id: str | None, reason: str | None, before: Any, after: Any, units: int, value: int
    ) -> None:
        """One difference: to be written, or with a reason why not."""
        if reason is None:
            self.writes[key] = (before, after, units, value)
        else:
            self.unwritable.add((*key, product_id, reason))


def outcome(tables: Tables) -> Sync:
    """All of it."""
    sync = Sync()
    listings = {
        (row["channel_code"], row["product_external_id"]): row for row in k1b.outcome(tables).tables["k1b_listing"]
    }
    _stock(tables, sync)
    _prices(tables, sync, listings)
    _publication(tables, sync, listings)
    _unlisted(tables, sync)
    _shipments(tables, sync)
    _orders(tables, sync)
    return sync


def iso(instant: datetime | None) -> str | None:
    """An instant as writes spell it."""
    return None if instant is None else instant.strftime("%Y-%m-%dT%H:%M:%SZ")


def _is_older(tables: Tables, instant: datetime | None, channel: Row) -> bool:
    if instant is None:
        return False
    return seconds(as_of(tables)) - seconds(instant) > int(channel["stock_stale_after_minutes"]) * 60


def _sold(tables: Tables, code: str, product_id: str) -> int:
    """Units of an item that a channel sold in 28 days."""
    clock, sold = as_of(tables), 0
    for order in tables["sales_order"]:
        if (
            order["channel_code"] != code
            or order["replaces_return_id"] is not None
            or order["cancelled_at"] is not None
        ):
            continue
        if order["status"] in ("cancelled", "failed") or order["ordered_at"] > clock:
            continue
        if seconds(clock) - seconds(order["ordered_at"]) < 28 * 86400:
            for line in tables["sales_order_line"]:
                if line["order_id"] == order["order_id"] and line["product_id"] == product_id:
                    sold += max(0, line["quantity"] - line["cancelled_qty"])
    return sold


def _expected(tables: Tables, channel: Row, product: Row) -> int | None:
    """What a channel should offer of an item, whether or not the KPI rates it; null when nobody knows."""
    unacknowledged = k1b._unacknowledged(tables)
    limits = k1b._limits(tables, index(tables["product"], "product_id"), product)
    if product["kind"] in GOODS or (product["kind"] != "kit" and not product["is_stock_tracked"]):
        return None
    offers = []
    for item, each in limits:
        pool = k1b._pool(tables, channel, item, unacknowledged)
        if pool is None:
            return None
        offers.append(max(0, pool.available - (channel["safety_stock_qty"] or 0)) // each)
    if not offers:
        return None
    return min(offers) if channel["cap_qty"] is None else min(*offers, channel["cap_qty"])


def _stock(tables: Tables, sync: Sync) -> None:
    channels, products = index(tables["channel"], "channel_code"), index(tables["product"], "product_id")
    observed = index(tables["listing"], "channel_code", "product_external_id")
    unacknowledged = k1b._unacknowledged(tables)
    for row in k1b.outcome(tables).tables["k1b_listing"]:
        code, item = row["channel_code"], row["product_external_id"]
        if item is None:
            continue
        channel, listing = channels[code], observed[(code, item)]
        key, held = (code, "published_qty", item), row["published_qty"]
        if row["state"] == "orphan":
            if row["shown_qty"] > 0:
                sync.unwritable.add((code, "is_published", item, None, "unknown_product"))
            continue
        product = products[row["product_id"]]
        if row["state"] == "excluded":
            reason = row["exclusion_reason"]
            is_known = _expected(tables, channel, product) is not None
            if reason in ("no_stock_record", "kit_without_components") or (
                reason == "not_managed_on_channel" and is_known
            ):
                sync.unwritable.add((*key, row["product_id"], reason))
            continue
        expected = row["expected_qty"]
        gap = abs(max(0, held) - expected)
        if not gap:
            continue
        pools = [k1b._pool(tables, channel, part, unacknowledged) for part, _ in k1b._limits(tables, products, product)]
        reason = None
        if _is_older(tables, listing["stock_observed_at"], channel):
            reason = "stale_observation"
        elif any(pool is not None and _is_older(tables, pool.oldest_as_of_at, channel) for pool in pools):
            reason = "stale_stock"
        value = gap * (row["unit_value_minor"] or 0)
        sync.judge(key, row["product_id"], reason, held, expected, gap, value)


def _prices(tables: Tables, sync: Sync, listings: dict[tuple[str, str], Row]) -> None:
    clock = as_of(tables)
    channels, products = index(tables["channel"], "channel_code"), index(tables["product"], "product_id")
    for row in tables["listing"]:
        channel, product = channels[row["channel_code"]], products.get(row["product_id"])
        if channel["kind"] != "web" or row["price_observed_at"] is None or product is None or not product["is_active"]:
            continue
        code, item, product_id = row["channel_code"], row["product_external_id"], row["product_id"]
        key = (code, "regular_minor", item)
        expected = k4.expected_at(tables, channel["price_list_code"], product_id, clock)
        if expected is None:
            if row["is_published"]:
                sync.unwritable.add((*key, product_id, "no_expected_price"))
            continue
        if row["currency_code"] != expected.currency_code:
            sync.unwritable.add((*key, product_id, "currency_mismatch"))
            continue
        reason = "stale_observation" if _is_older(tables, row["price_observed_at"], channel) else None
        is_seen = (code, item) in listings
        units = max(1, _sold(tables, code, product_id)) if is_seen else 1
        held = row["regular_minor"]
        if held != expected.regular:
            value = abs((held or 0) - expected.regular) * units
            sync.judge(key, product_id, reason, held, expected.regular, units, value)
        _promotion(tables, sync, row, channel, expected, reason, units)


def _promotion(
    tables: Tables, sync: Sync, row: Row, channel: Row, expected: k4.Expected, reason: str | None, units: int
) -> None:
    clock, price_list = as_of(tables), channel["price_list_code"]
    key = (row["channel_code"], "promotion", row["product_external_id"])
    held_minor, held_from, held_to = row["promotion_minor"], row["promotion_starts_at"], row["promotion_ends_at"]
    before = None if held_minor is None else {"minor": held_minor, "starts_at": iso(held_from), "ends_at": iso(held_to)}
    is_held = held_minor is not None and (held_to is None or held_to > clock)
    if expected.is_ambiguous:
        sync.unwritable.add((*key, row["product_id"], "ambiguous_promotion"))
        return
    wanted: tuple[int, datetime | None, datetime | None] | None = None
    if expected.promotion is not None and expected.price > expected.regular:
        sync.unwritable.add((*key, row["product_id"], "promotion_not_lower"))
        return
    if expected.promotion is not None and expected.price < expected.regular:
        wanted = (expected.price, expected.promotion["starts_at"], expected.promotion["ends_at"])
    else:
        for moment in k4.boundaries(tables, price_list, row["product_id"]):
            if moment <= clock:
                continue
            then = k4.expected_at(tables, price_list, row["product_id"], moment)
            if then is None or then.promotion is None or then.price >= then.regular:
                continue
            is_near = seconds(moment) - seconds(clock) <= HORIZON.total_seconds()
            if is_near or (is_held and held_from is not None and held_from > clock):
                if then.is_ambiguous:
                    sync.unwritable.add((*key, row["product_id"], "ambiguous_promotion"))
                    return
                wanted = (then.price, moment, then.promotion["ends_at"])
            break
    if _is_same(wanted, (held_minor, held_from, held_to) if is_held else None, clock):
        return
    after = None if wanted is None else {"minor": wanted[0], "starts_at": iso(wanted[1]), "ends_at": iso(wanted[2])}
    shown, should = row["effective_minor"], expected.price
    held_price = held_minor if is_held else row["regular_minor"]
    wanted_price = expected.regular if wanted is None else wanted[0]
    if shown is not None and shown != should:
        risk = abs(shown - should)
    elif held_price is not None and held_price != wanted_price:
        risk = abs(held_price - wanted_price)
    else:
        other = wanted[0] if wanted is not None else held_minor
        risk = 0 if other is None else abs(expected.regular - other)
    sync.judge(key, row["product_id"], reason, before, after, units, risk * units)


def _is_same(wanted: Any, held: Any, clock: datetime) -> bool:
    """Whether a buyer sees the same of both, now and later."""
    if wanted is None or held is None:
        return wanted is held
    runs = [start is None or start <= clock for _, start, _ in (wanted, held)]
    is_same_start = all(runs) or (not any(runs) and iso(wanted[1]) == iso(held[1]))
    return wanted[0] == held[0] and is_same_start and iso(wanted[2]) == iso(held[2])


def _publication(tables: Tables, sync: Sync, listings: dict[tuple[str, str], Row]) -> None:
    clock = as_of(tables)
    products = index(tables["product"], "product_id")
    kinds = {row["system_code"]: row["kind"] for row in tables["system"]}
    items = index(tables["item"], "system_code", "product_external_id")
    parents = index(tables["shown_price"], "system_code", "product_external_id")
    for channel in tables["channel"]:
        if channel["kind"] != "web":
            continue
        groups: dict[str, list[tuple[Row, str]]] = defaultdict(list)
        for row in tables["listing"]:
            if row["channel_code"] != channel["channel_code"] or row["is_published"] is None:
                continue
            product, item = products.get(row["product_id"]), row["product_external_id"]
            judged = listings.get((channel["channel_code"], item), {})
            if product is None or product["kind"] in GOODS:
                fate = "leave"
            elif not product["is_active"]:
                fate = "hide"
            elif k4.expected_at(tables, channel["price_list_code"], row["product_id"], clock) is None:
                fate = "leave"
            elif not row["is_published"] and judged.get("exclusion_reason") in (
                "no_stock_record",
                "kit_without_components",
            ):
                fate = "unknown"
            else:
                fate = "show"
            parent = items.get((channel["system_code"], item), {}).get("parent_external_id")
            is_hidden = parent is not None and not parents[(channel["system_code"], parent)]["is_published"]
            whole = parent is not None and (kinds[channel["system_code"]] == "prestashop" or is_hidden)
            groups[str(parent if whole else item)].append((row, fate))
        for item, members in groups.items():
            _publish(tables, sync, channel, item, members, listings)


def _publish(
    tables: Tables,
    sync: Sync,
    channel: Row,
    item: str,
    members: list[tuple[Row, str]],
    listings: dict[tuple[str, str], Row],
) -> None:
    fates = {fate for _, fate in members}
    is_shown = any(row["is_published"] for row, _ in members)
    code = channel["channel_code"]
    product_id = members[0][0]["product_id"] if len(members) == 1 else ""
    is_old = any(_is_older(tables, row["stock_observed_at"] or row["price_observed_at"], channel) for row, _ in members)

    def worth(row: Row) -> tuple[int, int, int]:
        judged = listings.get((code, row["product_external_id"]), {})
        unit = judged.get("unit_value_minor")
        unit = row["effective_minor"] if unit is None else unit
        product = index(tables["product"], "product_id").get(row["product_id"])
        expected = _expected(tables, channel, product) if judged and product else 0
        return max(0, judged.get("published_qty") or 0), expected or 0, unit or 0

    if "show" in fates:
        for row, fate in members:
            if fate == "hide" and row["is_published"] and row["product_external_id"] != item:
                key = (code, "is_published", row["product_external_id"])
                sync.unwritable.add((*key, row["product_id"], "variant_of_published_product"))
        if not is_shown:
            wanted = [worth(row) for row, fate in members if fate == "show"]
            units, value = sum(qty for _, qty, _ in wanted), sum(qty * unit for _, qty, unit in wanted)
            reason = "stale_observation" if is_old else None
            sync.judge((code, "is_published", item), product_id, reason, False, True, units, value)
    elif "unknown" in fates:
        if not is_shown:
            sync.unwritable.add((code, "is_published", item, product_id, "unknown_stock"))
    elif "hide" in fates and is_shown:
        reason = "undecided_variant" if "leave" in fates else "stale_observation" if is_old else None
        shown = [worth(row) for row, _ in members]
        units, value = sum(qty for qty, _, _ in shown), sum(qty * unit for qty, _, unit in shown)
        sync.judge((code, "is_published", item), product_id, reason, True, False, units, value)


def _unlisted(tables: Tables, sync: Sync) -> None:
    for channel in tables["channel"]:
        if channel["kind"] != "web":
            continue
        code = channel["channel_code"]
        listed = {row["product_id"] for row in tables["listing"] if row["channel_code"] == code}
        for product in tables["product"]:
            product_id = product["product_id"]
            if product_id in listed or not product["is_active"] or product["kind"] in GOODS:
                continue
            if k4.expected_at(tables, channel["price_list_code"], product_id, as_of(tables)) is not None:
                sync.unwritable.add((code, "is_published", None, product_id, "not_listed"))


def _shipments(tables: Tables, sync: Sync) -> None:
    clock = as_of(tables)
    channels = index(tables["channel"], "channel_code")
    shipments = index(tables["shipment"], "shipment_id")
    parts: dict[str, list[Row]] = defaultdict(list)
    for part in k2.outcome(tables).tables["k2_unit_group"]:
        parts[part["order_id"]].append(part)
    for order in tables["sales_order"]:
        channel, mine = channels[order["channel_code"]], parts[order["order_id"]]
        if channel["kind"] != "web" or order["status"] not in ("payable", "shipped"):
            continue
        if order["fulfilled_by"] != "retailer" or order["fulfilment_method"] != "ship":
            continue
        done = [part for part in mine if part["part_status"] == "done"]
        if not done:
            continue
        waits = [
            part
            for part in mine
            if part["part_status"] in ("open", "preparing") and part["exclusion_reason"] not in GOODS
        ]
        status = "shipped" if order["status"] == "payable" and not waits else order["status"]
        numbered = [
            (part["done_at"], part["shipment_id"], shipments[part["shipment_id"]]["tracking_number"]) for part in done
        ]
        numbered = [parcel for parcel in numbered if parcel[2] is not None]
        last_at = max(part["done_at"] for part in done)
        held = order["tracking_number"]
        number = held
        is_due = order["status"] == "payable" or seconds(clock) - seconds(last_at) <= NUMBER_WINDOW_S
        if held is None and numbered and is_due:
            number = max(numbered)[2]
        if (status, number) == (order["status"], held):
            continue
        is_odd = not re.fullmatch(r"[0-9A-Za-z ._/+:#-]*", f"{held or ''}{number or ''}")
        sync.judge(
            (order["channel_code"], "shipment", order["order_external_id"]),
            None,
            "tracking_number_not_writable" if is_odd else None,
            {"status": order["status"], "tracking_number": held},
            {"status": status, "tracking_number": number},
            sum(part["units"] for part in done),
            0,
        )


def _is_later_part(tables: Tables, order: Row) -> bool:
    """Whether an earlier live order of the same shop bears the same number."""

    def age(part: Row) -> tuple[float, str]:
        return seconds(part["ordered_at"]), part["order_external_id"]

    return any(
        age(other) < age(order)
        for other in tables["sales_order"]
        if all(other[name] == order[name] for name in ("channel_code", "order_number", "system_code"))
        and other["status"] in ("payable", "shipped", "delivered")
        and other["cancelled_at"] is None
        and other["payable_at"] is not None
    )


def _orders(tables: Tables, sync: Sync) -> None:
    channels, products = index(tables["channel"], "channel_code"), index(tables["product"], "product_id")
    answers = index(tables["order_acknowledgement"], "channel_code", "order_number")
    for order in tables["sales_order"]:
        channel = channels[order["channel_code"]]
        if channel["kind"] == "stores" or not channel["is_order_acknowledged"] or order["fulfilled_by"] != "retailer":
            continue
        if order["status"] not in ("payable", "shipped", "delivered") or order["cancelled_at"] is not None:
            continue
        if order["payable_at"] is None:
            continue
        answer = answers.get((order["channel_code"], order["order_number"]))
        if order["status"] == "payable" and _is_later_part(tables, order):
            answer = None  # the answer is of the first part, which bears the same number
        if answer is not None and answer["is_accepted"]:
            continue
        every = [line for line in tables["sales_order_line"] if line["order_id"] == order["order_id"]]
        lines = [line for line in every if line["quantity"] > line["cancelled_qty"]]
        gap = sum(line["net_minor"] + line["tax_minor"] for line in every) - order["total_minor"]
        gap += order["shipping_minor"] + order["fee_minor"] - order["discount_minor"]
        is_incomplete = not every or abs(gap) > len(every)
        if not lines and not is_incomplete:
            continue
        skus = {line["line_id"]: products.get(line["product_id"], {}).get("sku") for line in lines}
        if answer is not None:
            problem: str | None = "refused"
        elif None in skus.values():
            problem = "no_master_sku"
        elif is_incomplete:
            problem = "incomplete"
        else:
            if channel["kind"] == "web" and order["status"] == "payable":
                sync.to_send[order["order_id"]] = sorted(
                    (str(skus[line["line_id"]]), left, *(half_up(amount * left, line["quantity"]) for amount in worth))
                    for line in lines
                    for left in [line["quantity"] - line["cancelled_qty"]]
                    for worth in [(line["net_minor"], line["tax_minor"])]
                )
            waiting = seconds(as_of(tables)) - seconds(order["payable_at"])
            problem = "unanswered" if waiting > PATIENCE_S else None
        if problem is not None:
            sync.work[order["order_id"]] = problem


def json_value(text: str | None) -> Any:
    """A value as the difference spells it. Asserts that it is spelt as Python spells it."""
    if text is None:
        return None
    value = json.loads(text)
    assert json.dumps(value, separators=(", ", ": ")) == text, text
    return value
