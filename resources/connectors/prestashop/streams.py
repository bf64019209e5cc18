"""What can be read from a PrestaShop, declared: streams, how their changes show, what nobody can see in them. No code."""

from __future__ import annotations

from resources.connectors.sdk.stream import Stream, WriteCapability

_LOCAL_TIMES = "dates are local without offset: in the hour that autumn has twice, the first is taken"

PRODUCTS = Stream(
    name="products",
    path="/api/products",
    entities=("product", "kit_component"),
    keys=("id",),
    change_tracking="updated_at",
    cursor_field="date_upd",
    blind_spots=("deleted products show only in a full reading", _LOCAL_TIMES),
    period_field="date_add",
)
COMBINATIONS = Stream(
    name="combinations",
    path="/api/combinations",
    entities=("product",),
    keys=("id",),
    change_tracking="full_snapshot",
    blind_spots=("combinations have no date: every run reads all of them",),
)
PRICES = Stream(
    name="prices",
    path="/api/products, /api/combinations and /api/specific_prices",
    entities=("channel_price",),
    keys=("id",),
    change_tracking="full_snapshot",
    blind_spots=(
        "neither combination prices nor specific prices move a date: every run computes all prices",
        "prices are those of a visitor who is not logged in, in the shop's own country and currency; rules of the cart are not seen",
        "reductions of a customer group by category are not seen: the Webservice does not give them",
    ),
)
STOCK = Stream(
    name="stock_availables",
    path="/api/stock_availables",
    entities=("channel_stock",),
    keys=("id",),
    change_tracking="full_snapshot",
    blind_spots=(
        "a stock has no date: every run reads all of them",
        "the row of a product with combinations is a sum that can be written and then stays wrong",
    ),
)
ORDERS = Stream(
    name="orders",
    path="/api/orders",
    entities=("order", "order_line"),
    keys=("id",),
    change_tracking="updated_at",
    cursor_field="date_upd",
    has_personal_data=True,
    blind_spots=(
        "a new slip does not move the order's date: slips are a stream of their own",
        "PrestaShop has no shipped quantities and no merchandise returns: the WMS must give them",
        "the line of a deleted product keeps its number and does not say that it was deleted",
        _LOCAL_TIMES,
    ),
    period_field="date_add",
)
SLIPS = Stream(
    name="order_slip",
    path="/api/order_slip",
    entities=("refund", "refund_line"),
    keys=("id",),
    change_tracking="updated_at",
    cursor_field="date_upd",
    blind_spots=(
        "a slip does not name the return it pays back, nor whether the bank paid",
        "a slip of an amount only does not say which lines it pays back",
        _LOCAL_TIMES,
    ),
    period_field="date_add",
)
CUSTOMERS = Stream(
    name="customers",
    path="/api/customers",
    entities=("customer",),
    keys=("id",),
    change_tracking="updated_at",
    cursor_field="date_upd",
    has_personal_data=True,
    blind_spots=("a new address or phone does not move the customer's date", _LOCAL_TIMES),
    period_field="date_add",
)
STREAMS = (PRODUCTS, COMBINATIONS, PRICES, STOCK, ORDERS, SLIPS, CUSTOMERS)

RESOURCES_READ = (
    "addresses",
    "categories",
    "combinations",
    "configurations",
    "countries",
    "currencies",
    "customers",
    "groups",
    "order_details",
    "order_histories",
    "order_slip",
    "order_states",
    "orders",
    "product_option_values",
    "products",
    "shops",
    "specific_prices",
    "stock_availables",
    "tax_rules",
    "taxes",
)

WRITES = (
    WriteCapability(
        "channel_stock",
        "published_qty",
        can_compare_and_set=False,
        note="stock_availables, never a sum row; read just before and after, in lists",
    ),
    WriteCapability(
        "channel_price",
        "regular_minor",
        can_compare_and_set=False,
        note="without tax, six decimals; an impact on combinations, never the price of a product that has some",
    ),
    WriteCapability(
        "channel_price",
        "promotion",
        can_compare_and_set=False,
        note="one specific price of the item itself, an amount off with tax; deleted to clear",
    ),
    WriteCapability(
        "channel_price",
        "is_published",
        can_compare_and_set=False,
        note="the whole product, never one combination alone",
    ),
    WriteCapability(
        "order",
        "shipment",
        can_compare_and_set=False,
        note="the number in order_carriers, then the shipped state in order_histories; never back, no e-mail of the shop",
    ),
)
WRITE_METHODS = {
    "stock_availables": ("patch",),
    "products": ("patch",),
    "combinations": ("patch",),
    "specific_prices": ("post", "patch", "delete"),
    "order_carriers": ("get", "patch"),
    "order_histories": ("post",),
}
