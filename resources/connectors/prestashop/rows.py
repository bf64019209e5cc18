"""PrestaShop rows as they are received: only the fields that are mapped. Types wander there, so ids are read from number or text.

Money stays text. A field that a row leaves out is empty or 0; one that PrestaShop's tables let be NULL is printed as null.
"""

from __future__ import annotations

import msgspec


class Translation(msgspec.Struct, gc=False):
    """A text in one language."""

    id: int
    value: str | None = ""


Texts = list[Translation] | str | None


def in_language(texts: Texts, language_id: int) -> str:
    """The text in a language; the first that is not empty when there is none."""
    if not isinstance(texts, list):
        return texts or ""
    by_language = {text.id: text.value or "" for text in texts}
    return by_language.get(language_id) or next((text for text in by_language.values() if text), "")


class IdOnly(msgspec.Struct, gc=False):
    """A row of an association."""

    id: int


class Bundled(msgspec.Struct, gc=False):
    """A component of a pack."""

    id: int
    quantity: int
    id_product_attribute: int = 0


class ProductLinks(msgspec.Struct, gc=False):
    """Associations of a product."""

    combinations: list[IdOnly] = []
    product_bundle: list[Bundled] = []


class Product(msgspec.Struct, gc=False):
    """A row of /products."""

    id: int
    id_category_default: int | None = 0
    id_tax_rules_group: int = 0
    manufacturer_name: str | bool | None = None
    reference: str | None = ""
    ean13: str | None = ""
    upc: str | None = ""
    isbn: str | None = ""
    weight: str = "0"
    price: str = "0"
    ecotax: str = "0"
    active: str = "0"
    available_for_order: str = "0"
    is_virtual: str = "0"
    cache_is_pack: str = "0"
    product_type: str | None = ""
    type: str | None = ""
    state: str = "1"
    date_upd: str | None = None
    name: Texts = ""
    associations: ProductLinks = msgspec.field(default_factory=ProductLinks)


class OptionLinks(msgspec.Struct, gc=False):
    """Associations of a combination."""

    product_option_values: list[IdOnly] = []


class Combination(msgspec.Struct, gc=False):
    """A row of /combinations. ``price`` and ``weight`` are impacts on the product's."""

    id: int
    id_product: int
    reference: str | None = ""
    ean13: str | None = ""
    upc: str | None = ""
    isbn: str | None = ""
    price: str = "0"
    ecotax: str = "0"
    weight: str = "0"
    associations: OptionLinks = msgspec.field(default_factory=OptionLinks)


class Stock(msgspec.Struct, gc=False):
    """A row of /stock_availables. Combination 0 is the product itself, or the sum of its combinations."""

    id: int
    id_product: int
    id_product_attribute: int = 0
    quantity: str = "0"
    out_of_stock: str = "2"


class StockRow(msgspec.Struct, gc=False):
    """A row of /stock_availables with what tells whose it is: a shop's own, or shared by its group (id_shop 0)."""

    id: int
    id_product: int
    id_product_attribute: int = 0
    id_shop: int = 0
    id_shop_group: int = 0
    quantity: str = "0"
    depends_on_stock: str = "0"


class SpecificPrice(msgspec.Struct, gc=False):
    """A row of /specific_prices. ``price`` -1 keeps the product's; dates are local, 0000-00-00 is no bound."""

    id: int
    id_product: int
    id_product_attribute: int = 0
    id_shop: int = 0
    id_shop_group: int = 0
    id_cart: int = 0
    id_currency: int = 0
    id_country: int = 0
    id_group: int = 0
    id_customer: int = 0
    id_specific_price_rule: int = 0
    price: str = "-1"
    from_quantity: int = 1
    reduction: str = "0"
    reduction_tax: str = "1"
    reduction_type: str = ""
    starts: str = msgspec.field(name="from", default="0000-00-00 00:00:00")
    ends: str = msgspec.field(name="to", default="0000-00-00 00:00:00")


class Order(msgspec.Struct, gc=False):
    """A row of /orders. Its lines are read from /order_details, which has their totals."""

    id: int
    id_address_delivery: int = 0
    id_currency: int = 0
    id_customer: int = 0
    current_state: int = 0
    module: str | None = ""
    date_add: str | None = None
    date_upd: str | None = None
    note: str | None = ""
    reference: str | None = ""
    shipping_number: str | None = ""
    total_discounts_tax_incl: str = "0"
    total_paid_tax_incl: str = "0"
    total_paid_tax_excl: str = "0"
    total_shipping_tax_incl: str = "0"
    total_wrapping_tax_incl: str = "0"


class Detail(msgspec.Struct, gc=False):
    """A row of /order_details."""

    id: int
    id_order: int
    product_id: int = 0
    product_attribute_id: int = 0
    product_name: str | None = ""
    product_quantity: str = "0"
    product_reference: str | None = ""
    unit_price_tax_incl: str = "0"
    total_price_tax_incl: str = "0"
    total_price_tax_excl: str = "0"


DETAIL_FIELDS = (
    "[id,id_order,product_id,product_attribute_id,product_name,product_quantity,product_reference,"
    "unit_price_tax_incl,total_price_tax_incl,total_price_tax_excl]"
)


class History(msgspec.Struct, gc=False):
    """A row of /order_histories: a state an order came into."""

    id: int
    id_order: int
    id_order_state: int
    date_add: str = ""


class State(msgspec.Struct, gc=False):
    """A row of /order_states."""

    id: int
    paid: str = "0"
    shipped: str = "0"
    deleted: str = "0"
    name: Texts = ""


class Address(msgspec.Struct, gc=False):
    """A row of /addresses, as far as it is asked for."""

    id: int
    id_customer: int = 0
    id_country: int = 0
    phone: str | None = ""
    phone_mobile: str | None = ""
    deleted: str = "0"


class SlipLine(msgspec.Struct, gc=False):
    """A line of a slip."""

    id: int
    id_order_detail: int = 0
    product_quantity: str = "0"
    amount_tax_excl: str | None = "0"
    amount_tax_incl: str | None = "0"


class SlipLinks(msgspec.Struct, gc=False):
    """Associations of a slip; an amount-only slip has none."""

    order_slip_details: list[SlipLine] = []


class Slip(msgspec.Struct, gc=False):
    """A row of /order_slip."""

    id: int
    id_order: int
    total_products_tax_excl: str | None = "0"
    total_products_tax_incl: str | None = "0"
    total_shipping_tax_incl: str | None = "0"
    amount: str | None = "0"
    order_slip_type: str | None = "0"
    date_add: str | None = None
    associations: SlipLinks = msgspec.field(default_factory=SlipLinks)


class Customer(msgspec.Struct, gc=False):
    """A row of /customers, as far as it is asked for: never the password nor the secure key."""

    id: int
    lastname: str | None = ""
    firstname: str | None = ""
    email: str | None = ""
    is_guest: str = "0"
    date_add: str | None = None
    date_upd: str | None = None


CUSTOMER_FIELDS = "[id,lastname,firstname,email,is_guest,active,deleted,id_default_group,date_add,date_upd]"


class Configuration(msgspec.Struct, gc=False):
    """A row of /configurations."""

    name: str
    value: str | None = None


class Currency(msgspec.Struct, gc=False):
    """A row of /currencies."""

    id: int
    iso_code: str


class Country(msgspec.Struct, gc=False):
    """A row of /countries."""

    id: int
    iso_code: str


class Named(msgspec.Struct, gc=False):
    """A category or an option value."""

    id: int
    name: Texts = ""


class TaxRule(msgspec.Struct, gc=False):
    """A row of /tax_rules."""

    id: int
    id_tax_rules_group: int
    id_country: int
    id_tax: int
    id_state: int = 0
    zipcode_from: str = "0"


class Tax(msgspec.Struct, gc=False):
    """A row of /taxes; ``rate`` in percent."""

    id: int
    rate: str = "0"


class Group(msgspec.Struct, gc=False):
    """A row of /groups; ``reduction`` in percent, taken off every price."""

    id: int
    reduction: str = "0"


class ShopRow(msgspec.Struct, gc=False):
    """A row of /shops: one of the shops of an installation."""

    id: int
    id_shop_group: int = 0
    active: str = "1"
    deleted: str = "0"
    name: str | None = ""


class OrderOfSlip(msgspec.Struct, gc=False):
    """A slip and the order it pays back."""

    id: int
    id_order: int


class ShippedOrder(msgspec.Struct, gc=False):
    """An order, as far as its shipment goes."""

    id: int
    current_state: int = 0
    shipping_number: str | None = ""


class OrderCarrier(msgspec.Struct, gc=False):
    """A row of /order_carriers: a delivery of an order."""

    id: int
    id_order: int = 0
    tracking_number: str | None = ""
