"""What every write of the invented WooCommerce needs: its tables, its present, custom fields, ids of parts, and who is told.

What a write changes is told beside: `woocommerce_item_writes`, `woocommerce_order_writes`, `woocommerce_refund_writes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from sandbox.servers.money import minor_of, printed_one, two_decimals
from sandbox.servers.table import Row, Table
from sandbox.servers.woocommerce_catalogue import Catalogue, Derived, TaxClasses
from sandbox.servers.woocommerce_shapes import (
    LOCAL,
    Home,
    meta,
    number_of,
)


class WriteBase:
    """The tables of one shop. ``clock`` gives the shop's present, ``zone`` the one it prints, ``home`` its URL.

    ``tell(topic, collection, id)`` is called after each change that the shop's webhooks know of.
    """

    def __init__(
        self,
        tables: dict[str, Table],
        *,
        catalogue: Catalogue,
        derived: Derived,
        taxes: TaxClasses,
        home: Home,
        zone: str,
        currency: str,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        tell: Callable[[str, str, int], None] = lambda topic, name, number: None,
    ) -> None:
        self._tell = tell
        self._tables = tables
        self._catalogue = catalogue
        self._derived = derived
        self._taxes = taxes
        self._home = home
        self._zone = zone
        self._currency = currency
        self._clock = clock
        self._notes: dict[int, list[Row]] = {}
        self._unreduced: set[int] = set()
        self._told: list[tuple[str, str, int]] = []
        self._last_note = 0
        self._last_part = 50_000_000

    def _now(self) -> tuple[str, str]:
        """(local, UTC) as rows print them."""
        now = self._clock()
        return printed_one(now, self._zone, LOCAL), printed_one(now, "UTC", LOCAL)

    def _touch(self, row: Row) -> None:
        row["date_modified"], row["date_modified_gmt"] = self._now()

    def _born(self, row: Row) -> None:
        row["date_created"], row["date_created_gmt"] = self._now()
        self._touch(row)

    def _merged_meta(self, held: list[Row], sent: list[Row]) -> list[Row]:
        """Custom fields by key; a null value takes one away."""
        merged = {one["key"]: one for one in held}
        for one in sent:
            key = one.get("key")
            if key is None:
                continue
            if one.get("value") is None:
                merged.pop(key, None)
            else:
                number = merged[key]["id"] if key in merged else self.part()
                merged[key] = meta(number, key, one["value"])
        return list(merged.values())

    def part(self) -> int:
        """Id of a new line, custom field or tax."""
        self._last_part += 1
        return self._last_part

    def _tell_of_stock(self) -> None:
        for topic, name, number in dict.fromkeys(self._told):
            self._tell(topic, name, number)
        self._told.clear()

    def tax_lines(self, lines: list[Row], shipping: Mapping[int, int] | None = None) -> list[Row]:
        """Taxes of lines summed by rate; ``shipping``: tax of the delivery by rate id."""
        held: dict[int, int] = {}
        for line in lines:
            for tax in line["taxes"]:
                held[tax["id"]] = held.get(tax["id"], 0) + minor_of(tax["total"])
        rates = {number: rate for rate, number in self._taxes.rate_ids.items()}
        delivery = shipping or {}
        return [
            {
                "id": self.part(),
                "rate_code": f"{self._taxes.country}-{self._taxes.label(rates[number]).upper()}-1",
                "rate_id": number,
                "label": self._taxes.label(rates[number]),
                "compound": False,
                "tax_total": two_decimals(amount),
                "shipping_tax_total": two_decimals(delivery.get(number, 0)),
                "rate_percent": number_of(rates[number] / 100),
                "meta_data": [],
            }
            for number, amount in {**dict.fromkeys(delivery, 0), **held}.items()
        ]
