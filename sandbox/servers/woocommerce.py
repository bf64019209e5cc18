"""A WooCommerce shop (REST v3) on loopback, filled with `ShopData`.

Belongs here: putting the shop together, its few single documents, and what happens in it without its API (a buyer's order, a look).
How it answers is in `woocommerce_api`, how its rows look in `woocommerce_catalogue` and `woocommerce_sales`.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sandbox.servers.faults import FaultPlan
from sandbox.servers.http import LoopbackServer
from sandbox.servers.money import minor_of
from sandbox.servers.slugs import slug
from sandbox.servers.table import Row
from sandbox.servers.woocommerce_api import Access, Api
from sandbox.servers.woocommerce_catalogue import Catalogue, Derived, TaxClasses
from sandbox.servers.woocommerce_checkout import Buyer, Checkout
from sandbox.servers.woocommerce_sales import Sales
from sandbox.servers.woocommerce_shapes import API, BLANK_PRODUCT, ENTITIES, ORDER_STATUSES, item_links
from sandbox.servers.woocommerce_webhooks import Webhooks
from sandbox.servers.woocommerce_writes import Writer
from sandbox.shop_data import ShopData

_CURRENCY_NAMES = {"EUR": "Euro", "USD": "United States (US) dollar", "GBP": "Pound sterling"}
_NAMESPACES = [
    "oembed/1.0",
    "wc/v3",
    "wc/v1",
    "wc-admin",
    "wc-analytics",
    "wc/store",
    "wc/store/v1",
    "wc/v2",
    "wp/v2",
    "wp-site-health/v1",
]


class Shown(NamedTuple):
    """What an item shows a buyer: the quantity (None: not counted), and prices in minor units, VAT included (None: no price)."""

    quantity: int | None
    regular_minor: int | None
    effective_minor: int | None
    is_published: bool


class WooCommerceServer:
    """A running shop.

    ``key`` and ``secret`` may do everything, ``read_only`` is a second pair that may read. Over plain HTTP Basic is not
    looked at: sign with OAuth 1.0a, or, with ``behind_tls_header``, say X-Forwarded-Proto: https as a reverse proxy would.
    ``home_url``: the shop's public URL, which links show and signatures cover; its own address by default. ``clock`` is
    the shop's present. ``faults`` can be changed at any time.
    """

    def __init__(
        self,
        data: ShopData,
        *,
        key: str,
        secret: str,
        read_only: tuple[str, str] | None = None,
        behind_tls_header: bool = True,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        country: str = "BE",
        shop_name: str = "Boutique",
        home_url: str | None = None,
        faults: FaultPlan | None = None,
    ) -> None:
        self._data = data
        self._country = country
        self._name = shop_name
        self._home_url = home_url
        self._clock = clock
        rates = {rate for rate in data.items["tax_rate_bp"].to_list() if rate is not None}
        rates |= {rate for rate in data.order_lines["tax_rate_bp"].to_list() if rate is not None}
        self._taxes = TaxClasses(sorted(rates), country)
        derived = Derived(self._taxes, data.currency, clock)
        catalogue = Catalogue(data, self._taxes, derived, self.home)
        tables = {**catalogue.tables(), **Sales(data, catalogue, self._taxes, self.home).tables()}
        keys: dict[str, tuple[str, Access]] = {key: (secret, "read_write")}
        if read_only is not None:
            keys[read_only[0]] = (read_only[1], "read")
        self._tables = tables
        self._derived = derived
        self._lock = threading.RLock()
        self.webhooks = Webhooks(self.home, data.time_zone, clock, lock=self._lock)
        tables["webhooks"] = self.webhooks.table
        writer = Writer(
            tables,
            catalogue=catalogue,
            derived=derived,
            taxes=self._taxes,
            home=self.home,
            zone=data.time_zone,
            currency=data.currency,
            clock=clock,
            tell=self._tell,
        )
        self._checkout = Checkout(
            tables,
            writer,
            home=self.home,
            zone=data.time_zone,
            currency=data.currency,
            rate_bp=self._taxes.rate_of,
        )
        self.faults = faults or FaultPlan()
        self.api = Api(
            tables,
            keys=keys,
            home=self.home,
            zone=data.time_zone,
            writer=writer,
            webhooks=self.webhooks,
            lock=self._lock,
            documents=self._document,
            is_behind_tls_header=behind_tls_header,
            clock=clock,
        )
        self._server = LoopbackServer(self.faults.around(self.api.answer), clock)

    def home(self) -> str:
        """The shop's public URL."""
        return self._home_url or self._server.url

    @property
    def url(self) -> str:
        """Base URL of the running shop; the API is under /wp-json/wc/v3."""
        return self._server.url

    def start(self) -> str:
        """Serve in background threads; gives the base URL back."""
        return self._server.start()

    def stop(self) -> None:
        """Close every connection, once the webhooks so far are sent."""
        self._server.stop()
        self.webhooks.stop()

    # what happens and shows in the shop, without its API -------------------------------------------------------------

    def place_order(
        self,
        lines: Sequence[tuple[int | str, int]],
        *,
        at: datetime | None = None,
        status: str = "payable",
        buyer: Buyer | None = None,
        shipping_minor: int = 490,
        number: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> int:
        """Buy in the shop as a customer does, and give the order's id back: stock is taken, webhooks are sent.

        ``lines``: (item, units), the item by its own id or as ``12-34``, at the price it has now. ``at``: when, the shop's present by
        default. ``status``: payable, on_hold or pending (a pending order takes no stock yet). ``tags``: custom fields like
        `_pickup_location`. Raises `SoldOut` for what the shop would not sell; nothing is changed then.
        """
        with self._lock:
            return self._checkout.place(
                lines,
                at=at or self._clock(),
                status=status,
                buyer=buyer or Buyer(country=self._country),
                shipping_minor=shipping_minor,
                number=number,
                tags=tags or {},
            )

    def shown(self) -> dict[str, Shown]:
        """What each item shows a buyer now, by its external id (``12``, ``12-34``): read from the shop itself, not over its API."""
        with self._lock:
            products, variations = self._tables["products"], self._tables["variations"]
            found = {str(number): self._shown(products.row(number), None) for number in products.ids()}
            for number in variations.ids():
                row = variations.row(number)
                found[f"{row['parent_id']}-{number}"] = self._shown(row, products.row(row["parent_id"]))
            return found

    def _shown(self, row: Row, parent: Row | None) -> Shown:
        now = copy.deepcopy(row)
        self._derived.settle(now)
        is_live = now["status"] == "publish" and (parent is None or parent["status"] == "publish")
        return Shown(
            now["stock_quantity"] if now["manage_stock"] is not False else None,
            minor_of(now["regular_price"]) if now["regular_price"] else None,
            minor_of(now["price"]) if now["price"] else None,
            bool(is_live and now["purchasable"]),
        )

    def order(self, order_id: int) -> Row:
        """An order's row as it is in the shop."""
        with self._lock:
            return copy.deepcopy(self._tables["orders"].row(order_id))

    def _tell(self, topic: str, name: str, number: int) -> None:
        """Send the webhooks of a change: the row as its collection shows it, or its id alone when it is gone."""
        if not self.webhooks.is_heard(topic):
            return
        if topic.endswith(".deleted"):
            self.webhooks.tell(topic, {"id": number})
            return
        row = self._tables[name].row(number)
        if name == "variations":
            row = self._as_product(row)
        self.webhooks.tell(topic, row)

    def _as_product(self, row: Row) -> Row:
        """A variation as a webhook shows it: with a product's fields."""
        parent = self._tables["products"].row(row["parent_id"])
        shown = {name: row.get(name, blank) for name, blank in BLANK_PRODUCT.items()}
        links = item_links(self.home(), f"products/{row['id']}", up=f"products/{row['parent_id']}")
        return {
            **shown,
            "name": f"{parent['name']} - {row['name']}",
            "slug": slug(f"{parent['name']} {row['name']}"),
            "attributes": row["attributes"],
            "reviews_allowed": False,
            "price_html": self._derived.tag(row),
            "_links": links,
        }

    def _document(self, route: str) -> Any:
        """The single documents: the site's index (route ""), settings, statuses, currency, tax classes; None for any other route."""
        if route == "":
            return self._index()
        if route == "orders/statuses":
            return [{"slug": status, "name": label} for status, label in ORDER_STATUSES.items()]
        if route == "taxes/classes":
            return self._taxes.classes(self.home)
        if route == "data/currencies/current":
            return self._currency()
        if route.startswith("settings/"):
            return self._settings(route.removeprefix("settings/"))
        return None

    def _index(self) -> Row:
        zone = self._data.time_zone
        offset = self._clock().astimezone(ZoneInfo(zone)).utcoffset()
        hours = offset.total_seconds() / 3600 if offset is not None else 0
        return {
            "name": self._name,
            "description": "",
            "url": self.home(),
            "home": self.home(),
            "gmt_offset": int(hours) if hours == int(hours) else hours,
            "timezone_string": zone,
            "namespaces": _NAMESPACES,
        }

    def _currency(self) -> Row:
        code = self._data.currency
        base = f"{self.home()}{API}/data/currencies"
        links = {
            "self": [{"href": f"{base}/{code}", "targetHints": {"allow": ["GET"]}}],
            "collection": [{"href": base}],
        }
        return {
            "code": code,
            "name": _CURRENCY_NAMES.get(code, code),
            "symbol": ENTITIES.get(code, code),
            "_links": links,
        }

    def _settings(self, group: str) -> list[Row] | None:
        known: dict[str, list[tuple[str, str, str, str]]] = {
            "general": [
                ("woocommerce_default_country", "select", "US:CA", self._country),
                ("woocommerce_calc_taxes", "checkbox", "no", "yes"),
                ("woocommerce_currency", "select", "USD", self._data.currency),
                ("woocommerce_price_thousand_sep", "text", ",", ","),
                ("woocommerce_price_decimal_sep", "text", ".", "."),
                ("woocommerce_price_num_decimals", "number", "2", "2"),
            ],
            "tax": [
                ("woocommerce_prices_include_tax", "radio", "no", "yes"),
                ("woocommerce_tax_based_on", "select", "shipping", "shipping"),
                ("woocommerce_shipping_tax_class", "select", "inherit", "inherit"),
                ("woocommerce_tax_round_at_subtotal", "checkbox", "no", "no"),
                ("woocommerce_tax_display_shop", "select", "excl", "excl"),
            ],
            "products": [
                ("woocommerce_manage_stock", "checkbox", "yes", "yes"),
                ("woocommerce_notify_no_stock_amount", "number", "0", "0"),
                ("woocommerce_weight_unit", "select", "kg", "kg"),
            ],
        }
        rows = known.get(group)
        if rows is None:
            return None
        return [{"id": name, "type": kind, "default": default, "value": value} for name, kind, default, value in rows]
