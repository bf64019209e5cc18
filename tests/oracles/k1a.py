"""K1a, inventory record accuracy, read naively from docs/kpis.md."""

from __future__ import annotations

from tests.oracles.common import WHOLE, Ledger, Outcome, Row, Tables, date_of, index, local_day, threshold

NOT_STOCKED = ("service", "gift_card", "kit")


def outcome(tables: Tables) -> Outcome:
    """All of K1a."""
    result, ledger = Outcome(), Ledger()
    locations = index(tables["location"], "location_code")
    products = index(tables["product"], "product_id")
    tolerance = threshold(tables, "k1a")["tolerance_pct"]
    rated_places: set[tuple[str, str]] = set()
    rated: list[tuple[Row, int]] = []
    gaps: list[Row] = []
    for line in tables["stock_count_line"]:
        result.instants.append(line["counted_at"])
        movements = [
            movement["quantity"]
            for movement in tables["stock_movement"]
            if movement["location_code"] == line["location_code"]
            and movement["product_id"] is not None
            and movement["product_id"] == line["product_id"]
            and movement["occurred_at"] <= line["counted_at"]
        ]
        product = products.get(line["product_id"])
        if line["location_code"] not in locations:
            reason = "unknown_location"
        elif product is None:
            reason = "unknown_product"
        elif product["kind"] in NOT_STOCKED or not product["is_stock_tracked"]:
            reason = "not_stock_tracked"
        elif not movements:
            reason = "no_book"
            gaps.append(line)
        elif line["count_reason"] == "suspicion":
            reason = "count_on_suspicion"
        else:
            rated.append((line, sum(movements)))
            rated_places.add((line["location_code"], line["product_id"]))
            continue
        result.exclude(reason, 1, {"location": line["location_code"]})

    coverage = Ledger()
    for level in tables["stock_level"]:
        product, location = products.get(level["product_id"]), locations.get(level["location_code"])
        if product is None or location is None or product["kind"] in NOT_STOCKED or not product["is_stock_tracked"]:
            continue
        places = {
            "company": location["company_code"],
            "location": level["location_code"],
            "category": product["category_code"],
        }
        counted = int((level["location_code"], level["product_id"]) in rated_places)
        coverage.record("count_coverage", None, places, (counted, 1, None, None), ("all",))

    for line, book in [*rated, *((line, None) for line in gaps)]:
        places = {
            "company": locations[line["location_code"]]["company_code"],
            "location": line["location_code"],
            "category": products[line["product_id"]]["category_code"],
        }
        day = date_of(local_day(tables["location_day"], "location_code", line["location_code"], line["counted_at"]))
        is_rated = int(book is not None)
        variance = 0 if book is None else line["counted_qty"] - book
        for tolerated in (0, 1, 3, 5):
            accurate = int(book is not None and book >= 0 and abs(variance) * 100 <= tolerated * book)
            ledger.record(f"ira_{tolerated}", day, places, (accurate, is_rated, None, None))
        ledger.record("absolute_unit_variance", day, places, (abs(variance), abs(book or 0), None, None))
        cost = variance * _cost(tables, line["product_id"]) if variance else 0
        ledger.record("net_value_variance", day, places, (cost, None, None, None))
        if book is not None and (book < 0 or abs(variance) * 100 > tolerance * book):
            result.work_list.append(
                {
                    "location_code": line["location_code"],
                    "product_id": line["product_id"],
                    "sku": products[line["product_id"]]["sku"],
                    "count_external_id": line["count_external_id"],
                    "counted_at": line["counted_at"],
                    "counted_qty": line["counted_qty"],
                    "book_qty": book,
                    "variance_qty": variance,
                }
            )
    covered = coverage.figures()
    for key, (numerator, denominator, _, _) in ledger.figures().items():
        pair = covered.get(("count_coverage", "all", WHOLE, key[3], key[4]), (0, 0, None, None))
        result.values[key] = (numerator, denominator, pair[0], pair[1])
    result.values |= {key: figure for key, figure in covered.items() if key[3] != "category"}
    result.work_list.sort(key=lambda row: -abs(row["variance_qty"]))
    return result


def _cost(tables: Tables, product_id: str) -> int:
    """Unit cost on the product's latest purchase order line, 0 without one."""
    lines = [line for line in tables["purchase_order_line"] if line["product_id"] == product_id]
    if not lines:
        return 0
    latest = max(lines, key=lambda line: (line["ordered_at"], line["purchase_order_number"], line["line_number"]))
    return int(latest["unit_cost_minor"])
