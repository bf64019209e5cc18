"""How WooCommerce REST v3 rows look: every key in its order, with the value it has when nobody set it.

Belongs here: the blanks, links and small builders, as recorded from version 11.0.1. What fills them is in `woocommerce_catalogue` and
`woocommerce_sales`; what changes them in `woocommerce_writes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from sandbox.servers.table import Row

API = "/wp-json/wc/v3"
VERSION = "11.0.1"
LOCAL = "%Y-%m-%dT%H:%M:%S"
ITEM_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
SYMBOLS = {"EUR": "€", "USD": "$", "GBP": "£"}
ENTITIES = {"EUR": "&euro;", "USD": "&#36;", "GBP": "&pound;"}
ORDER_STATUSES = {
    "pending": "Pending payment",
    "processing": "Processing",
    "on-hold": "On hold",
    "completed": "Completed",
    "cancelled": "Cancelled",
    "refunded": "Refunded",
    "failed": "Failed",
    "checkout-draft": "Draft",
}
Home = Callable[[], str]

_SALE_WINDOW: Row = dict.fromkeys(
    ("date_on_sale_from", "date_on_sale_from_gmt", "date_on_sale_to", "date_on_sale_to_gmt")
)
_NO_FILE: Row = {"downloadable": False, "downloads": [], "download_limit": -1, "download_expiry": -1}
_NO_SIZE: Row = {"length": "", "width": "", "height": ""}

BLANK_PRODUCT: Row = {
    "id": 0,
    "name": "",
    "slug": "",
    "permalink": "",
    "date_created": None,
    "date_created_gmt": None,
    "date_modified": None,
    "date_modified_gmt": None,
    "type": "simple",
    "status": "publish",
    "featured": False,
    "catalog_visibility": "visible",
    "description": "",
    "short_description": "",
    "sku": "",
    "price": "",
    "regular_price": "",
    "sale_price": "",
    **_SALE_WINDOW,
    "on_sale": False,
    "purchasable": False,
    "total_sales": 0,
    "virtual": False,
    **_NO_FILE,
    "external_url": "",
    "button_text": "",
    "tax_status": "taxable",
    "tax_class": "",
    "manage_stock": False,
    "stock_quantity": None,
    "backorders": "no",
    "backorders_allowed": False,
    "backordered": False,
    "low_stock_amount": None,
    "sold_individually": False,
    "weight": "",
    "dimensions": _NO_SIZE,
    "shipping_required": True,
    "shipping_taxable": True,
    "shipping_class": "",
    "shipping_class_id": 0,
    "reviews_allowed": True,
    "average_rating": "0.00",
    "rating_count": 0,
    "upsell_ids": [],
    "cross_sell_ids": [],
    "parent_id": 0,
    "purchase_note": "",
    "categories": [],
    "brands": [],
    "tags": [],
    "images": [],
    "attributes": [],
    "default_attributes": [],
    "variations": [],
    "grouped_products": [],
    "menu_order": 0,
    "price_html": "",
    "related_ids": [],
    "meta_data": [],
    "stock_status": "instock",
    "has_options": False,
    "post_password": "",
    "global_unique_id": "",
}

BLANK_VARIATION: Row = {
    "id": 0,
    "type": "variation",
    "date_created": None,
    "date_created_gmt": None,
    "date_modified": None,
    "date_modified_gmt": None,
    "description": "",
    "permalink": "",
    "sku": "",
    "global_unique_id": "",
    "price": "",
    "regular_price": "",
    "sale_price": "",
    **_SALE_WINDOW,
    "on_sale": False,
    "status": "publish",
    "purchasable": False,
    "virtual": False,
    **_NO_FILE,
    "tax_status": "taxable",
    "tax_class": "",
    "manage_stock": False,
    "stock_quantity": None,
    "stock_status": "instock",
    "backorders": "no",
    "backorders_allowed": False,
    "backordered": False,
    "low_stock_amount": None,
    "weight": "",
    "dimensions": _NO_SIZE,
    "shipping_class": "",
    "shipping_class_id": 0,
    "image": None,
    "gallery_image_ids": [],
    "attributes": [],
    "menu_order": 0,
    "meta_data": [],
    "name": "",
    "parent_id": 0,
}

BLANK_ADDRESS: Row = {
    "first_name": "",
    "last_name": "",
    "company": "",
    "address_1": "",
    "address_2": "",
    "city": "",
    "state": "",
    "postcode": "",
    "country": "",
}
BLANK_BILLING: Row = {**BLANK_ADDRESS, "email": "", "phone": ""}
BLANK_SHIPPING: Row = {**BLANK_ADDRESS, "phone": ""}
_CUSTOMER_ADDRESS: Row = {
    "first_name": "",
    "last_name": "",
    "company": "",
    "address_1": "",
    "address_2": "",
    "city": "",
    "postcode": "",
    "country": "",
    "state": "",
}
CUSTOMER_BILLING: Row = {**_CUSTOMER_ADDRESS, "email": "", "phone": ""}
CUSTOMER_SHIPPING: Row = {**_CUSTOMER_ADDRESS, "phone": ""}

BLANK_ORDER: Row = {
    "id": 0,
    "parent_id": 0,
    "status": "pending",
    "currency": "EUR",
    "version": VERSION,
    "prices_include_tax": True,
    "date_created": None,
    "date_modified": None,
    "discount_total": "0.00",
    "discount_tax": "0.00",
    "shipping_total": "0.00",
    "shipping_tax": "0.00",
    "cart_tax": "0.00",
    "total": "0.00",
    "total_tax": "0.00",
    "customer_id": 0,
    "order_key": "",
    "billing": BLANK_BILLING,
    "shipping": BLANK_SHIPPING,
    "payment_method": "",
    "payment_method_title": "",
    "transaction_id": "",
    "customer_ip_address": "",
    "customer_user_agent": "",
    "created_via": "rest-api",
    "customer_note": "",
    "date_completed": None,
    "date_paid": None,
    "cart_hash": "",
    "number": "",
    "meta_data": [],
    "line_items": [],
    "tax_lines": [],
    "shipping_lines": [],
    "fee_lines": [],
    "coupon_lines": [],
    "refunds": [],
    "payment_url": "",
    "is_editable": True,
    "needs_payment": False,
    "needs_processing": False,
    "date_created_gmt": None,
    "date_modified_gmt": None,
    "date_completed_gmt": None,
    "date_paid_gmt": None,
    "currency_symbol": "€",
}


def item_links(
    home: str, path: str, *, allow: list[str] | None = None, up: str | None = None, is_hinted: bool = True
) -> Row:
    """`_links` of a row at ``path`` under the API; ``up``: path of what it belongs to."""
    own: Row = {"href": f"{home}{API}/{path}"}
    if is_hinted:
        own["targetHints"] = {"allow": allow or ITEM_METHODS}
    links: Row = {"self": [own], "collection": [{"href": f"{home}{API}/{path.rpartition('/')[0]}"}]}
    if up is not None:
        links["up"] = [{"href": f"{home}{API}/{up}"}]
    return links


def order_links(home: str, order_id: int, customer_id: int) -> Row:
    """`_links` of an order."""
    links = item_links(home, f"orders/{order_id}")
    links["email_templates"] = [{"embeddable": True, "href": f"{home}{API}/orders/{order_id}/actions/email_templates"}]
    if customer_id:
        links["customer"] = [{"href": f"{home}{API}/customers/{customer_id}"}]
    return links


def variation_links(home: str, parent_id: int, variation_id: int) -> Row:
    """`_links` of a variation read through its product."""
    return item_links(home, f"products/{parent_id}/variations/{variation_id}", up=f"products/{parent_id}")


def bare_variation_links(home: str, variation_id: int) -> Row:
    """`_links` of a variation in /variations, which points to product 0."""
    return item_links(home, f"variations/{variation_id}", up="products/0", is_hinted=False)


def refund_links(home: str, order_id: int, refund_id: int) -> Row:
    """`_links` of a refund."""
    return item_links(home, f"orders/{order_id}/refunds/{refund_id}", allow=["GET", "DELETE"], up=f"orders/{order_id}")


def permalink(home: str, slug: str, attributes: Mapping[str, str] | None = None) -> str:
    """The public page of a product, or of one of its variations."""
    query = "&".join(f"attribute_{name}={quote(value)}" for name, value in (attributes or {}).items())
    return f"{home}/product/{slug}/" + (f"?{query}" if query else "")


def meta(number: int, key: str, value: Any) -> Row:
    """One custom field of a product, order or refund."""
    return {"id": number, "key": key, "value": value}


def line_meta(number: int, key: str, value: Any) -> Row:
    """One custom field of a line, which is printed twice."""
    return {"id": number, "key": key, "value": value, "display_key": key, "display_value": value}


def number_of(value: float) -> float | int:
    """A JSON number as PHP prints it: 15, not 15.0."""
    return int(value) if value == int(value) else value


def price_html(currency: str, net: str, before: str | None = None) -> str:
    """The price tag of a product page, without VAT as the shop shows it; struck when it is reduced."""
    symbol = ENTITIES.get(currency, currency)

    def amount(text: str) -> str:
        return (
            '<span class="woocommerce-Price-amount amount"><bdi><span class="woocommerce-Price-currencySymbol" '
            f'translate="no">{symbol}</span>{text}</bdi></span>'
        )

    if before is None:
        return amount(net)
    return (
        f'<del aria-hidden="true">{amount(before)}</del> '
        f'<span class="screen-reader-text">Original price was: {symbol}{before}.</span>'
        f'<ins aria-hidden="true">{amount(net)}</ins>'
        f'<span class="screen-reader-text">Current price is: {symbol}{net}.</span>'
    )
