"""K4, price and promotion consistency, read naively from docs/kpis.md: every instant is looked up on its own."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta

from tests.oracles.common import Ledger, Outcome, Row, Tables, as_of, date_of, half_up, index, local_day, seconds

GAPS = ("no_observed_price", "no_expected_price", "stale")


@dataclass(frozen=True)
class Expected:
    """What a price list expects of an item at an instant."""

    currency_code: str
    tax_rate_bp: int
    regular: int
    price: int
    promotion: Row | None
    is_ambiguous: bool


def promotion_price(promotion: Row, regular: int) -> int:
    """The price under a promotion."""
    if promotion["method"] == "fixed_price":
        return int(promotion["amount_minor"])
    if promotion["method"] == "amount_off":
        return max(0, regular - int(promotion["amount_minor"]))
    return half_up(regular * (10000 - promotion["percentage_bp"]), 10000)


def expected_at(tables: Tables, price_list: str | None, product_id: str | None, instant: datetime) -> Expected | None:
    """Regular price and winning promotion at an instant; null without a price."""
    for price in tables["price"]:
        if price["price_list_code"] != price_list or price["product_id"] != product_id:
            continue
        if price["valid_from_at"] <= instant and (price["valid_to_at"] is None or instant < price["valid_to_at"]):
            break
    else:
        return None
    regular = price["gross_minor"]
    running = [
        promotion
        for promotion in tables["promotion"]
        if promotion["price_list_code"] == price_list
        and promotion["product_id"] == product_id
        and promotion["currency_code"] == price["currency_code"]
        and (promotion["starts_at"] is None or promotion["starts_at"] <= instant)
        and (promotion["ends_at"] is None or instant < promotion["ends_at"])
    ]

    def merit(promotion: Row) -> tuple[int, int, bool]:
        return promotion["priority"], promotion_price(promotion, regular), promotion["is_stackable"]

    currency, rate = price["currency_code"], price["tax_rate_bp"]
    if not running:
        return Expected(currency, rate, regular, regular, None, False)
    best = min(running, key=merit)
    ties = [promotion for promotion in running if merit(promotion) == merit(best)]
    return Expected(currency, rate, regular, promotion_price(best, regular), best, len(ties) > 1)


def boundaries(tables: Tables, price_list: str | None, product_id: str | None) -> list[datetime]:
    """Every instant at which a price or promotion of the item starts or ends."""
    found = []
    for table, names in (("price", ("valid_from_at", "valid_to_at")), ("promotion", ("starts_at", "ends_at"))):
        for row in tables[table]:
            if row["price_list_code"] == price_list and row["product_id"] == product_id:
                found += [row[name] for name in names if row[name] is not None]
    return sorted(set(found))


def outcome(tables: Tables) -> Outcome:
    """All of K4; ``tables["k4_observation"]`` has the observations."""
    result, ledger = Outcome(), Ledger()
    observations = _observations(tables)
    result.tables["k4_observation"] = observations
    grouped: dict[tuple[object, ...], Row] = {}
    for row in observations:
        result.instants.append(row["observed_at"])
        reason, verdict = row["exclusion_reason"], row["verdict"]
        places: dict[str, str | None] = {"channel": row["channel_code"]}
        if row["origin"] == "till":
            places["location"] = row["location_code"]
        if reason is not None:
            result.exclude(reason, 1, places)
        if reason == "ambiguous" or (reason is None and verdict != "ok"):
            _list_work(tables, grouped, row)
        if reason is not None and reason not in GAPS:
            continue
        rated = int(reason is None)
        places |= {"company": row["company_code"], "category": row["category_code"]}
        periods = ("all", "day", "month") if row["origin"] == "till" else ("all", "day")
        for measure, hit in (
            ("conformance", verdict == "ok"),
            ("overcharge", row["direction"] == "over"),
            ("undercharge", row["direction"] == "under"),
        ):
            ledger.record(measure, row["observed_on"], places, (int(hit), rated, rated, 1), periods)
    _parity(tables, ledger)
    _prior(tables, ledger, observations)
    result.values = ledger.figures()
    result.work_list = sorted(grouped.values(), key=lambda row: -(row["value_at_risk_minor"] or 0))
    return result


def _observations(tables: Tables) -> list[Row]:
    clock = as_of(tables)
    channels = index(tables["channel"], "channel_code")
    found = []
    for listing in tables["listing"]:
        channel = channels[listing["channel_code"]]
        if channel["kind"] != "web" or listing["price_observed_at"] is None:
            continue
        day = local_day(tables["channel_day"], "channel_code", channel["channel_code"], clock)
        found.append(
            {
                "origin": "web",
                "location_code": None,
                "product_external_id": listing["product_external_id"],
                "order_id": None,
                "line_id": None,
                "listing": listing,
                "product_id": listing["product_id"],
                "observed_at": listing["price_observed_at"],
                "observed_on": date_of(day),
                "quantity": 1,
                "currency_code": listing["currency_code"],
                "observed_minor": listing["effective_minor"],
            }
            | {"channel": channel}
        )
    orders = index(tables["sales_order"], "order_id")
    for line in tables["sales_order_line"]:
        order = orders[line["order_id"]]
        channel = channels[order["channel_code"]]
        if channel["kind"] != "stores" or line["quantity"] <= 0 or line["unit_price_minor"] is None:
            continue
        day = local_day(tables["location_day"], "location_code", order["location_code"], order["ordered_at"])
        found.append(
            {
                "origin": "till",
                "location_code": order["location_code"],
                "product_external_id": None,
                "order_id": line["order_id"],
                "line_id": line["line_id"],
                "listing": None,
                "product_id": line["product_id"],
                "observed_at": order["ordered_at"],
                "observed_on": date_of(day),
                "quantity": line["quantity"],
                "currency_code": order["currency_code"],
                "observed_minor": line["unit_price_minor"],
            }
            | {"channel": channel}
        )
    return [_judge(tables, row) for row in found]


def _judge(tables: Tables, row: Row) -> Row:
    clock = as_of(tables)
    channel, listing, at = row["channel"], row["listing"], row["observed_at"]
    product = index(tables["product"], "product_id").get(row["product_id"])
    price_list, observed = channel["price_list_code"], row["observed_minor"]
    expected = expected_at(tables, price_list, row["product_id"], at)
    row |= {
        "channel_code": channel["channel_code"],
        "company_code": channel["company_code"],
        "product_id": None if product is None else product["product_id"],
        "category_code": None if product is None else product["category_code"],
        "expected": expected,
        "verdict": None,
        "direction": None,
        "promotion_external_id": None,
    }
    past = [moment for moment in boundaries(tables, price_list, row["product_id"]) if moment <= at]
    reason = None
    if product is None:
        reason = "orphan"
    elif listing is not None and listing["is_published"] is False:
        reason = "not_published"
    elif observed is None:
        reason = "no_observed_price"
    elif expected is None:
        reason = "no_expected_price"
    elif row["currency_code"] != expected.currency_code:
        reason = "currency_mismatch"
    elif expected.is_ambiguous:
        reason = "ambiguous"
    elif listing is not None and seconds(clock) - seconds(at) > channel["stock_stale_after_minutes"] * 60:
        reason = "stale"
    elif (
        listing is not None
        and observed != expected.price
        and seconds(at) - seconds(max(past)) < channel["sync_promise_minutes"] * 60
    ):
        reason = "in_flight"
    row["exclusion_reason"] = reason
    if expected is not None and expected.promotion is not None:
        row["promotion_external_id"] = expected.promotion["promotion_external_id"]
        if expected.is_ambiguous:
            row["promotion_external_id"] = None
    if reason is not None or expected is None:
        return row
    if observed == expected.price:
        row["verdict"] = "ok"
        return row
    row["direction"] = "over" if observed > expected.price else "under"
    promotion = expected.promotion
    leak = None
    if promotion is None:
        ended = [
            one
            for one in tables["promotion"]
            if one["price_list_code"] == price_list
            and one["product_id"] == row["product_id"]
            and one["currency_code"] == expected.currency_code
            and one["ends_at"] is not None
            and one["ends_at"] <= at
            and seconds(at) - seconds(one["ends_at"]) <= 30 * 86400
            and promotion_price(one, expected.regular) == observed
        ]
        ended.sort(key=lambda one: one["promotion_external_id"])
        leak = max(ended, key=lambda one: one["ends_at"]) if ended else None
    if promotion is not None and observed == expected.regular:
        shown_start = None if listing is None else listing["promotion_starts_at"]
        is_later = shown_start is not None and (promotion["starts_at"] is None or shown_start > promotion["starts_at"])
        row["verdict"] = "promotion_late" if is_later else "promotion_missing"
    elif leak is not None:
        row["verdict"] = "promotion_leaked"
        row["promotion_external_id"] = leak["promotion_external_id"]
    elif promotion is not None and observed < expected.regular:
        row["verdict"] = "wrong_depth"
    else:
        row["verdict"] = "overcharge" if row["direction"] == "over" else "undercharge"
    return row


def _list_work(tables: Tables, grouped: dict[tuple[object, ...], Row], row: Row) -> None:
    ambiguous = row["exclusion_reason"] == "ambiguous"
    expected = None if ambiguous else row["expected"].price
    verdict = "ambiguous" if ambiguous else row["verdict"]
    key = (
        row["channel_code"],
        row["location_code"],
        row["product_external_id"],
        row["product_id"],
        verdict,
        expected,
        row["observed_minor"],
    )
    sku = index(tables["product"], "product_id")[row["product_id"]]["sku"]
    line = grouped.setdefault(
        key,
        {
            "channel_code": row["channel_code"],
            "location_code": row["location_code"],
            "product_external_id": row["product_external_id"],
            "product_id": row["product_id"],
            "sku": sku,
            "verdict": verdict,
            "direction": row["direction"],
            "expected_minor": expected,
            "observed_minor": row["observed_minor"],
            "difference_minor": None if ambiguous else row["observed_minor"] - expected,
            "observation_qty": 0,
            "observed_at": row["observed_at"],
            "value_at_risk_minor": None if ambiguous else 0,
        },
    )
    line["observation_qty"] += 1
    line["observed_at"] = max(line["observed_at"], row["observed_at"])
    if not ambiguous:
        line["value_at_risk_minor"] += abs(row["observed_minor"] - expected) * row["quantity"]


def _parity(tables: Tables, ledger: Ledger) -> None:
    clock = as_of(tables)
    channels = index(tables["channel"], "channel_code")
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in tables["parity_group"]:
        groups[row["parity_group_code"]].append(channels[row["channel_code"]])
    for code, members in groups.items():
        for product in tables["product"]:
            shown = []
            for channel in members:
                price = _shown(tables, channel, product, clock)
                if price is not None:
                    shown.append((channel, *price))
            if len(shown) < 2 or len({currency for _, currency, _, _ in shown}) > 1:
                continue
            if len({channel["tax_territory"] for channel, _, _, _ in shown}) == 1:
                prices = [gross for _, _, gross, _ in shown]
            else:
                prices = [half_up(gross * 10000, 10000 + rate) for _, _, gross, rate in shown]
            low, high = min(prices), max(prices)
            places = {"parity_group": code}
            ledger.record("parity_equal", None, places, (int(low == high), 1, 1, 1), ("all",))
            gap = (high - low) * 10000 // max(low, 1)
            ledger.record("parity_mean_gap_bp", None, places, (gap, 1, None, None), ("all",))


def _shown(tables: Tables, channel: Row, product: Row, clock: datetime) -> tuple[str, int, int] | None:
    """Currency, price with VAT and VAT rate that a channel shows; null when it shows none."""
    if channel["kind"] == "stores":
        expected = expected_at(tables, channel["price_list_code"], product["product_id"], clock)
        if expected is None or expected.is_ambiguous or not product["is_active"]:
            return None
        return expected.currency_code, expected.price, expected.tax_rate_bp
    if channel["kind"] != "web":
        return None
    shown = [
        row
        for row in tables["listing"]
        if row["channel_code"] == channel["channel_code"]
        and row["product_id"] == product["product_id"]
        and row["effective_minor"] is not None
        and row["is_published"] is not False
        and row["price_observed_at"] is not None
        and seconds(clock) - seconds(row["price_observed_at"]) <= channel["stock_stale_after_minutes"] * 60
    ]
    if not shown:
        return None
    cheapest = min(shown, key=lambda row: (row["effective_minor"], row["product_external_id"]))
    rate = cheapest["tax_rate_bp"]
    if rate is None:
        rate = product["tax_rate_bp"] or 0
    return cheapest["currency_code"], cheapest["effective_minor"], rate


def _prior(tables: Tables, ledger: Ledger, observations: list[Row]) -> None:
    for row in observations:
        listing, expected = row["listing"], row["expected"]
        if listing is None or row["exclusion_reason"] is not None or expected.promotion is None:
            continue
        struck = listing["regular_minor"]
        if struck is None or row["observed_minor"] >= struck:
            continue
        price_list, product_id = row["channel"]["price_list_code"], row["product_id"]
        moments = boundaries(tables, price_list, product_id)
        first = max(moment for moment in moments if moment <= row["observed_at"])
        for moment in reversed([moment for moment in moments if moment < first]):
            before = expected_at(tables, price_list, product_id, moment)
            if before is None or before.promotion is None:
                break
            first = moment
        since = first - timedelta(days=30)
        instants = [since, *(moment for moment in moments if since < moment < first)]
        lowest = [
            found.price
            for found in (expected_at(tables, price_list, product_id, instant) for instant in instants)
            if found is not None
        ]
        if lowest:
            places = {"company": row["company_code"], "channel": row["channel_code"]}
            ledger.record("prior_price", None, places, (int(struck <= min(lowest)), 1, 1, 1), ("all",))
