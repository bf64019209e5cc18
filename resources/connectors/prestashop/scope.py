"""Which shop of an installation is read, and what of each resource is that shop's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from resources.connectors.prestashop.client import PrestaShopClient
from resources.connectors.prestashop.facts import Notes, read_shops
from resources.connectors.prestashop.lenient import decoder_of
from resources.connectors.prestashop.rows import OrderOfSlip, ShopRow
from resources.errors import ConfigurationError, Where

_SLIPS = decoder_of(OrderOfSlip)


@dataclass(frozen=True)
class Scope:
    """The shop that is read: ``shop_id`` None when the installation has only one. ``shop_group_id``: its group, when known."""

    shop_id: int | None = None
    shop_group_id: int | None = None

    def ids(self, client: PrestaShopClient, stream: str, params: Mapping[str, str]) -> list[int]:
        """The ids of a stream's resource that are this shop's, ascending.

        Stock may be shared by a group of shops, customers too; slips belong to the shop of their order. Products and combinations
        are narrowed by the Webservice itself.
        """
        if self.shop_id is None:
            return client.ids(stream, params, stream=stream)
        own = {"filter[id_shop]": f"[{self.shop_id}]"}
        of_group = {} if self.shop_group_id is None else {"filter[id_shop_group]": f"[{self.shop_group_id}]"}
        if stream == "orders":
            return client.ids(stream, {**params, **own}, stream=stream)
        if stream == "customers":
            return client.ids(stream, {**params, **of_group}, stream=stream)
        if stream == "stock_availables":
            found = set(client.ids(stream, {**params, **own}, stream=stream))
            if of_group:
                shared = {**params, "filter[id_shop]": "[0]", **of_group}
                found.update(client.ids(stream, shared, stream=stream))
            return sorted(found)
        if stream == "order_slip":
            orders = set(client.ids("orders", own, stream=stream))
            slips = client.all_rows("order_slip", _SLIPS, stream=stream, display="[id,id_order]", **params)
            return sorted(slip.id for slip in slips if slip.id_order in orders)
        return client.ids(stream, params, stream=stream)


def read_scope(client: PrestaShopClient, shop_id: int | None, system_code: str, stream: str, notes: Notes) -> Scope:
    """The scope of what is declared. Raises ConfigurationError when the installation has several shops and none is chosen."""
    shops = read_shops(client, stream, notes)
    problem = shop_problem(shops, shop_id)
    if problem is not None:
        raise ConfigurationError(
            problem,
            where=Where(system_code=system_code, stream=stream, field="shop_id"),
            action="set the system's shop_id in retailer.yaml, one system per shop",
        )
    group = next((shop.id_shop_group for shop in shops if shop.id == shop_id), None)
    return Scope(shop_id, group if shop_id is not None else None)


def shop_problem(shops: list[ShopRow], shop_id: int | None) -> str | None:
    """What is wrong with the shop that is declared, None when nothing is. Without any shop to be seen nothing can be told."""
    listed = ", ".join(f"{shop.id} {shop.name or ''}".strip() for shop in shops)
    if shop_id is None and len(shops) > 1:
        return f"the installation has {len(shops)} active shops ({listed}): their rows would be mixed"
    if shop_id is not None and shops and shop_id not in {shop.id for shop in shops}:
        return f"the installation has no active shop {shop_id}: it has {listed}"
    return None
