"""WooCommerce rows as they are received: only the fields that are mapped. Money stays text: a float never sees it."""

from __future__ import annotations

import msgspec

Text = str | None


class Meta(msgspec.Struct, gc=False):
    """One meta row; its value may be anything."""

    key: str = ""
    value: msgspec.Raw = msgspec.Raw(b"null")


class Named(msgspec.Struct, gc=False):
    """A category or a brand."""

    name: str = ""


class Choice(msgspec.Struct, gc=False):
    """What a variation chose of an attribute; a product has no ``option``, it lists them."""

    option: Text = None


class Product(msgspec.Struct, gc=False):
    """A row of /products, and of /variations, which has ``parent_id`` and no type of its own besides `variation`.

    The variations of older versions have neither name, nor type, nor parent.
    """

    id: int
    status: str
    sku: Text
    price: Text
    regular_price: Text
    sale_price: Text
    on_sale: bool
    purchasable: bool
    virtual: bool
    tax_status: str
    tax_class: str
    manage_stock: bool | str
    stock_quantity: int | None
    stock_status: str
    backorders_allowed: bool
    weight: Text
    date_modified_gmt: Text
    date_on_sale_from_gmt: Text
    date_on_sale_to_gmt: Text
    name: Text = None
    type: str = "variation"
    attributes: list[Choice] = []
    global_unique_id: Text = None
    parent_id: int = 0
    categories: list[Named] = []
    brands: list[Named] = []


class Address(msgspec.Struct, gc=False):
    """Billing or shipping, as far as it is mapped."""

    first_name: Text = None
    last_name: Text = None
    country: Text = None
    email: Text = None
    phone: Text = None


class Destination(msgspec.Struct, gc=False):
    """Where an order goes, as far as it is mapped."""

    country: Text = None


class Line(msgspec.Struct, gc=False):
    """A line of an order. ``price`` is left alone: it is a JSON number, rounded by quantity."""

    id: int
    name: Text
    product_id: int
    variation_id: int
    quantity: int
    subtotal: str
    subtotal_tax: str
    total: str
    total_tax: str
    meta_data: list[Meta] = []
    sku: Text = None


class Fee(msgspec.Struct, gc=False):
    """A fee line; may be negative."""

    total: str
    total_tax: str


class ShippingLine(msgspec.Struct, gc=False):
    """A shipping line of a refund."""

    total: str = "0"
    total_tax: str = "0"


class Shipping(msgspec.Struct, gc=False):
    """A shipping line of an order: its method tells a pickup from a delivery."""

    method_id: Text = None


class Order(msgspec.Struct, gc=False, kw_only=True):
    """A row of /orders. Fields stand in the order in which WooCommerce prints them: each is then found at once, a fifth of the time."""

    id: int
    status: str
    currency: str
    shipping_total: str
    shipping_tax: str
    total: str
    total_tax: str
    customer_id: int
    billing: Address
    shipping: Destination
    number: str
    meta_data: list[Meta]
    line_items: list[Line]
    shipping_lines: list[Shipping]
    fee_lines: list[Fee]
    date_created_gmt: Text
    date_modified_gmt: Text
    date_completed_gmt: Text = None
    date_paid_gmt: Text


class Status(msgspec.Struct, gc=False):
    """A state that the shop's orders may have."""

    slug: str


class RefundLine(msgspec.Struct, gc=False):
    """A line of a refund: negative quantity and totals; `_refunded_item_id` points back to the order's line."""

    id: int
    product_id: int
    variation_id: int
    quantity: int
    total: str
    total_tax: str
    meta_data: list[Meta] = []


class Refund(msgspec.Struct, gc=False):
    """A row of /refunds."""

    id: int
    parent_id: int
    amount: str
    date_created_gmt: Text
    line_items: list[RefundLine]
    shipping_lines: list[ShippingLine]
    meta_data: list[Meta] = []


class Customer(msgspec.Struct, gc=False):
    """A row of /customers: accounts only, guests live in their orders."""

    id: int
    date_created_gmt: Text
    date_modified_gmt: Text
    email: Text
    first_name: Text
    last_name: Text
    billing: Address
    shipping: Address


class Rate(msgspec.Struct, gc=False):
    """A row of /taxes. ``tax_class`` of a product is empty for the class `standard`."""

    id: int
    country: str
    rate: str
    tax_class: str = msgspec.field(name="class", default="standard")
    state: str = ""
    postcode: str = ""
    city: str = ""
    postcodes: list[str] = []
    cities: list[str] = []
    priority: int = 1
    order: int = 0
    compound: bool = False


class Setting(msgspec.Struct, gc=False):
    """A setting; its value may be anything."""

    id: str
    value: msgspec.Raw = msgspec.Raw(b"null")


class Currency(msgspec.Struct, gc=False):
    """The shop's currency."""

    code: str


class SiteIndex(msgspec.Struct, gc=False):
    """The site's description. ``timezone_string`` is empty when only an offset is set."""

    name: str = ""
    timezone_string: str = ""
    gmt_offset: float | str = 0
    namespaces: list[str] = []


def meta_text(meta: list[Meta], wanted: frozenset[str]) -> dict[str, str]:
    """The wanted meta rows as text, by key; a value that is no plain text or number is left out. The last of a key wins."""
    found: dict[str, str] = {}
    for row in [row for row in meta if row.key in wanted]:
        value = msgspec.json.decode(row.value)
        if isinstance(value, (str, int)) and not isinstance(value, bool) and str(value).strip():
            found[row.key] = str(value).strip()
    return found
