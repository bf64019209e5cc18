"""How one system is reached and read: one model per kind of system. What a kind DOES is its connector's matter.

A connector of a new kind brings its model itself: a module ``resources/connectors/<kind>.py`` (or package) with a class
``Config`` that extends :class:`SystemConfig`. Nothing here has to change for it.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PositiveFloat, SecretStr, model_validator

from resources.retailer.fields import BaseUrl, Code, NotNegative, Positive, ProxyUrl, Text, ZoneName, expected

Role = Literal["erp", "pos", "storefront", "marketplace", "oms", "wms", "carrier", "pim", "crm", "psp", "accounting"]


class Declared(BaseModel):
    """Base of all that retailer.yaml declares: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SystemConfig(Declared):
    """What every kind of system has. ``time_zone`` is the zone of its naive local times (required: never guessed).

    ``requests_per_second``: ceiling for all of Étalon's calls to it; ``workers``: pages read at once. ``history_readers``: processes
    that may read periods of its history at once, sharing those two. ``proxy``: what every call to it goes through; ``ca_bundle``:
    PEM file of the authorities that its certificate (or the proxy's) is believed by.
    """

    code: Code
    kind: Code
    role: Role
    company: Code
    time_zone: ZoneName
    requests_per_second: PositiveFloat = 20.0
    timeout_s: PositiveFloat = 30.0
    page_size: Positive = 100
    workers: Positive = 4
    history_readers: Positive = 2
    proxy: ProxyUrl = None
    ca_bundle: Path | None = None


class PickupConfig(Declared):
    """When a dropped file is whole: its ``.done`` marker is there, or its size stayed the same for ``stable_s``."""

    by: Literal["marker", "stable_size"] = "marker"
    stable_s: NotNegative = 60


class FilesSystem(SystemConfig):
    """A system that drops files in a folder; ``feeds`` name the declarations in resources/feeds.

    ``sends``: the messages that go out to it, declared in resources/orders_out/messages, into ``out_folder``; of orders placed since
    ``sends_since``, all of them when it is left out.
    """

    kind: Literal["files"]
    folder: Path
    feeds: tuple[Code, ...]
    pickup: PickupConfig = PickupConfig()
    sends: tuple[Code, ...] = ()
    out_folder: Path | None = None
    sends_since: AwareDatetime | None = None

    @model_validator(mode="after")
    def _sends_somewhere(self) -> FilesSystem:
        if self.sends and self.out_folder is None:
            raise expected("out_folder, the folder that the system takes files from, since it has `sends`")
        if self.out_folder is not None and self.out_folder.is_relative_to(self.folder):
            raise expected("out_folder outside folder: what goes out would be taken for an arrival")
        return self


class ImportedOrders(Declared):
    """How a shop's orders that were imported from another channel are known and numbered.

    ``module``: the payment module they carry; ``channel``: where they come from;
    ``number_tag``: the order tag (docs/retailer.md) that holds their number there.
    """

    module: Text
    channel: Code
    number_tag: Code = "mkp"


class PrestaShopSystem(SystemConfig):
    """A PrestaShop shop read through its Webservice. ``language_id`` chooses among translated texts.

    ``shop_id``: which shop of an installation with several; without it the installation must have only one active shop.
    """

    kind: Literal["prestashop"]
    url: BaseUrl
    key: SecretStr
    channel: Code
    language_id: Positive = 1
    shop_id: Positive | None = None
    imported_orders: ImportedOrders | None = None
    order_tags: bool = False
    verify_tls: bool = True


OrderStatus = Literal["pending", "on_hold", "payable", "shipped", "delivered", "cancelled", "failed", "refunded"]


class WooCommerceSystem(SystemConfig):
    """A WooCommerce shop read through REST v3; ``key`` and ``secret`` are its consumer key and secret.

    ``webhook_secret``: what the shop signs its deliveries with; without one none is taken.
    ``home_url``: what the shop calls its home, when it is reached at another address. ``permalinks``: `plain` where the shop has no
    pretty ones. ``statuses``: the states of orders that a plugin adds (or means otherwise), in our words. ``tracking_note``: what a
    buyer is told of a parcel.
    """

    kind: Literal["woocommerce"]
    url: BaseUrl
    key: SecretStr
    secret: SecretStr
    webhook_secret: SecretStr | None = None
    channel: Code
    home_url: BaseUrl | None = None
    permalinks: Literal["pretty", "plain"] = "pretty"
    statuses: Mapping[Code, OrderStatus] = {}
    tracking_note: Annotated[str, Field(pattern=r"\{tracking_number\}")] | None = None
    order_tags: bool = False
    verify_tls: bool = True


_BUILT_IN: dict[str, type[SystemConfig]] = {
    "files": FilesSystem,
    "prestashop": PrestaShopSystem,
    "woocommerce": WooCommerceSystem,
}


def known_kinds() -> frozenset[str]:
    """Every kind a system may have: those declared here and the connector modules that are found."""
    package = importlib.import_module("resources.connectors")
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    return frozenset(_BUILT_IN) | (modules - {"sdk", "registry"})


def config_model(kind: str) -> type[SystemConfig] | None:
    """The model of a kind of system; None for a kind nobody declares."""
    if kind in _BUILT_IN:
        return _BUILT_IN[kind]
    if kind not in known_kinds():
        return None
    model = getattr(importlib.import_module(f"resources.connectors.{kind}"), "Config", None)
    return model if isinstance(model, type) and issubclass(model, SystemConfig) else None
