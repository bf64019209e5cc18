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
        "channel_stock", "published_qty", can_compare_and_set=False, note="stock_availables, never a sum row"
    ),
    WriteCapability(
        "channel_price", "regular_minor", can_compare_and_set=False, note="without tax; an impact on combinations"
    ),
    WriteCapability(
        "channel_price", "promotion_minor", can_compare_and_set=False, note="a specific price; deleted to clear"
    ),
    WriteCapability("product", "is_active", can_compare_and_set=False),
    WriteCapability("order", "status", can_compare_and_set=False, note="a row of order_histories"),
    WriteCapability("refund", "amount_minor", can_compare_and_set=False, note="a slip: no money moves"),
)
WRITE_METHODS = {
    "stock_availables": ("put", "patch"),
    "products": ("put", "patch"),
    "combinations": ("put", "patch"),
    "specific_prices": ("post", "delete"),
    "order_histories": ("post",),
    "order_slip": ("post",),
}
