"""A PrestaShop 8 shop on loopback, filled with `ShopData`.

Belongs here: putting the shop together. How it answers is in `prestashop_webservice`, how its rows look in `prestashop_catalogue` and
`prestashop_sales`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

from sandbox.servers import prestashop_reference as ref
from sandbox.servers.faults import FaultPlan
from sandbox.servers.http import LoopbackServer
from sandbox.servers.prestashop_catalogue import Catalogue
from sandbox.servers.prestashop_checkout import PlacedOrder, Shown
from sandbox.servers.prestashop_resources import ALL_RESOURCES, READ
from sandbox.servers.prestashop_sales import Sales
from sandbox.servers.prestashop_webservice import Rights, Webservice
from sandbox.servers.table import Table
from sandbox.shop_data import ShopData

_SET_UP = "2024-01-02 09:00:00"


def prestashop_tables(data: ShopData, *, country: str = "FR", shop_name: str = "Boutique") -> dict[str, Table]:
    """Every resource's rows, drawn from the shop's content. ``country``: where the shop's taxes apply."""
    rates = {rate for rate in data.items["tax_rate_bp"].to_list() if rate is not None}
    rates |= {rate for rate in data.order_lines["tax_rate_bp"].to_list() if rate is not None}
    rates_bp = sorted(rates, reverse=True)
    taxes, groups, rules = ref.tax_tables(rates_bp, country, _SET_UP)
    countries = {code for code in data.customers["country"].to_list() + data.orders["country"].to_list() if code}
    catalogue = Catalogue(data, rates_bp)
    rows = {
        "taxes": taxes,
        "tax_rule_groups": groups,
        "tax_rules": rules,
        "order_states": ref.state_rows(),
        "countries": ref.country_rows(countries | {country}),
        "currencies": ref.currency_rows(data.currency),
        "languages": ref.language_rows(),
        "groups": ref.group_rows(_SET_UP),
        "carriers": ref.carrier_rows(),
        "shops": ref.shop_rows(shop_name),
        "configurations": ref.configuration_rows(data.time_zone, _SET_UP),
        "order_payments": [],  # of orders placed from now on: nobody reads those of earlier ones
    }
    reference = {path: Table.of_rows(held) for path, held in rows.items()}
    return {**reference, **catalogue.tables(), **Sales(data, catalogue).tables()}


class PrestaShopServer:
    """A running shop.

    ``key`` may do everything, ``read_only_key`` may read everything, ``limited_keys`` (key -> resource -> methods) only what they name.
    ``clock`` is the shop's present: it decides which promotions run and dates what is written. ``faults`` can be changed at any time.
    """

    def __init__(
        self,
        data: ShopData,
        *,
        key: str,
        read_only_key: str | None = None,
        limited_keys: Mapping[str, Mapping[str, frozenset[str]]] | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        country: str = "FR",
        shop_name: str = "Boutique",
        faults: FaultPlan | None = None,
    ) -> None:
        keys: dict[str, Rights] = {**(limited_keys or {}), key: None}
        if read_only_key is not None:
            keys[read_only_key] = dict.fromkeys(ALL_RESOURCES, READ)
        self.faults = faults or FaultPlan()
        self.webservice = Webservice(
            prestashop_tables(data, country=country, shop_name=shop_name),
            keys=keys,
            zone=data.time_zone,
            clock=clock,
            shop_name=shop_name,
            country_id=str(ref.COUNTRY_IDS[country]),
        )
        self._server = LoopbackServer(self.faults.around(self.webservice.answer), clock)

    @property
    def url(self) -> str:
        """Base URL of the running shop; the webservice is under /api."""
        return self._server.url

    def place_order(
        self,
        lines: Sequence[tuple[int, int]],
        *,
        customer_id: int | None = None,
        is_paid: bool = True,
        shipping_minor: int = 490,
    ) -> PlacedOrder:
        """A buyer orders (item, units) and pays; see `Checkout.place_order`. Raises ValueError for what nobody can buy."""
        with self.webservice.lock:
            return self.webservice.checkout.place_order(
                lines, customer_id=customer_id, is_paid=is_paid, shipping_minor=shipping_minor
            )

    def shown(self) -> dict[str, Shown]:
        """What a buyer sees now, by item (`12`, or `12-34`): the shop's truth, not by way of its Webservice."""
        with self.webservice.lock:
            return self.webservice.checkout.shown()

    @property
    def failing(self) -> set[tuple[str, int]]:
        """(resource, id) of rows on which a module of the shop breaks when they are written; to be changed at any time."""
        return self.webservice.writer.failing

    def start(self) -> str:
        """Serve in background threads; gives the base URL back."""
        return self._server.start()

    def stop(self) -> None:
        """Close every connection."""
        self._server.stop()
