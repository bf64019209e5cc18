"""What can be read from a WooCommerce, declared: streams, how their changes show, and what nobody can see in them. No code."""

from __future__ import annotations

from resources.connectors.sdk.stream import Stream, WriteCapability

PRODUCTS = Stream(
    name="products",
    path="/products and /variations",
    entities=("product", "channel_stock", "channel_price"),
    keys=("id",),
    change_tracking="full_snapshot",
    blind_spots=(
        "a sale takes stock without moving the product's modification date: every run reads all products",
        "a trashed product leaves the list at once; only the full reading tells that it is gone",
        "variations that share their parent's stock each show the whole of it",
    ),
)
ORDERS = Stream(
    name="orders",
    path="/orders",
    entities=("order", "order_line"),
    keys=("id",),
    change_tracking="updated_at",
    cursor_field="date_modified_gmt",
    has_personal_data=True,
    blind_spots=(
        "a trashed order leaves the list without a trace until the next full reading",
        "WooCommerce has no shipped quantities: status completed says that all was sent",
        "a cancellation has no date of its own: unless the order carries one, the last modification is taken",
    ),
    period_field="date_created_gmt",
)
REFUNDS = Stream(
    name="refunds",
    path="/refunds",
    entities=("refund", "refund_line"),
    keys=("id",),
    change_tracking="full_snapshot",
    has_personal_data=True,  # no name in it, but a free text: the reason
    blind_spots=(
        "a refund of an amount only does not say which lines it pays back",
        "whether the buyer's bank has the money is not known",
    ),
    period_field="date_created_gmt",
)
CUSTOMERS = Stream(
    name="customers",
    path="/customers",
    entities=("customer",),
    keys=("id",),
    change_tracking="full_snapshot",
    has_personal_data=True,
    blind_spots=(
        "the API ignores modified_after here: every run reads all accounts",
        "guests have no account; they are known from their orders only",
    ),
)
STREAMS = (PRODUCTS, ORDERS, REFUNDS, CUSTOMERS)

WRITES = (
    WriteCapability(
        "channel_stock",
        "published_qty",
        can_compare_and_set=False,
        note="whole units; refused where the shop does not manage the item's stock, or takes it from the parent",
    ),
    WriteCapability(
        "channel_price",
        "regular_minor",
        can_compare_and_set=False,
        note="refused where no price that the shop can hold gives this one, VAT included",
    ),
    WriteCapability(
        "channel_price",
        "promotion",
        can_compare_and_set=False,
        note="price and window together, cleared together; refused when it is not below the regular price",
    ),
    WriteCapability(
        "channel_price",
        "is_published",
        can_compare_and_set=False,
        note="publish or draft; a variation: publish or private",
    ),
    WriteCapability(
        "order",
        "shipment",
        can_compare_and_set=False,
        note="from payable to completed, never back; the parcel number where the shipment tracking extensions keep it",
    ),
)
