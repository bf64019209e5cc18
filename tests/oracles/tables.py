"""The columns of the referential tables that KPIs read, with their DuckDB types. No rows here."""

from __future__ import annotations


def _columns(text: str) -> dict[str, str]:
    """`"name, qty:BIGINT"` as column -> type; text when no type is written, by suffix for the usual ones."""
    suffixes = {"_at": "TIMESTAMPTZ", "_minor": "BIGINT", "_qty": "BIGINT", "_bp": "BIGINT", "quantity": "BIGINT"}
    columns: dict[str, str] = {}
    for part in text.replace("\n", " ").split(","):
        name, _, kind = part.strip().partition(":")
        by_suffix = next((known for suffix, known in suffixes.items() if name.endswith(suffix)), "VARCHAR")
        columns[name] = kind or ("BOOLEAN" if name.startswith("is_") else by_suffix)
    return columns


REFERENTIALS: dict[str, dict[str, str]] = {
    "product": _columns(
        "product_id, sku, gtin, gtin_status, name, brand, category_code, kind, is_stock_tracked, is_active, tax_rate_bp, "
        "weight_g:BIGINT, parent_product_key, master_system_code"
    ),
    "kit_component": _columns("kit_product_id, component_product_id, component_qty"),
    "company": _columns("company_code, name, country_code"),
    "location": _columns(
        "location_code, name, kind, company_code, gln, time_zone, calendar_code, handling_working_days:BIGINT"
    ),
    "channel": _columns(
        "channel_code, name, kind, company_code, system_code, time_zone, currency_code, tax_territory, price_list_code, "
        "ships_from_code, safety_stock_qty, cap_qty, sync_promise_minutes:BIGINT, stock_stale_after_minutes:BIGINT, "
        "is_order_acknowledged"
    ),
    "channel_stock_location": _columns("channel_code, location_code"),
    "parity_group": _columns("parity_group_code, channel_code"),
    "location_day": _columns(
        "location_code, local_date:DATE, day_start_at, day_end_at, is_working_day, working_day_index:BIGINT, opens_at, "
        "closes_at, cut_off_at, working_seconds_before:BIGINT"
    ),
    "channel_day": _columns("channel_code, local_date:DATE, day_start_at, day_end_at"),
    "stock_level": _columns(
        "location_code, product_id, on_hand_qty, committed_qty, reserved_qty, damaged_qty, is_net, as_of_at, changed_at, "
        "system_code, observed_at"
    ),
    "stock_movement": _columns(
        "system_code, movement_external_id, location_code, product_id, kind, quantity, occurred_at"
    ),
    "stock_count_line": _columns(
        "system_code, count_external_id, location_code, product_external_id, product_id, counted_qty, counted_at, "
        "count_reason"
    ),
    "listing": _columns(
        "channel_code, product_external_id, product_id, sku, published_qty, is_stock_managed, is_published, "
        "stock_observed_at, currency_code, regular_minor, effective_minor, tax_rate_bp, promotion_starts_at, "
        "promotion_ends_at, promotion_minor, price_observed_at"
    ),
    "price": _columns(
        "price_list_code, product_id, currency_code, gross_minor, amount_minor, is_vat_included, tax_rate_bp, "
        "valid_from_at, valid_to_at"
    ),
    "promotion": _columns(
        "promotion_external_id, price_list_code, product_id, method, amount_minor, percentage_bp, currency_code, "
        "starts_at, ends_at, priority:BIGINT, is_stackable"
    ),
    "sales_order": _columns(
        "order_id, system_code, order_external_id, channel_code, order_number, shop_system_code, shop_order_external_id, "
        "location_code, ordered_at, payable_at, cancelled_at, cancel_reason, status, currency_code, total_minor, "
        "tax_minor, shipping_minor, fee_minor, discount_minor, customer_id, country_code, fulfilment_method, "
        "fulfilled_by, promised_ship_by_at, available_from_at, replaces_return_id, tracking_number, is_replacement"
    ),
    "sales_order_line": _columns(
        "order_id, line_id, line_external_id, product_id, sku, name, quantity, cancelled_qty, cancel_reason, "
        "cancelled_at, net_minor, tax_minor, unit_price_minor, manual_discount_minor, return_reference"
    ),
    "order_acknowledgement": _columns("channel_code, order_number, acknowledged_at, is_accepted, refusal_reason"),
    "shipment": _columns(
        "shipment_id, order_id, channel_code, order_number, location_code, carrier_code, tracking_number, released_at, "
        "picked_at, packed_at, label_printed_at, ship_confirmed_at, ready_for_pickup_at, cancelled_at, first_scan_at, "
        "delivered_at"
    ),
    "shipment_line": _columns("shipment_id, line_number:BIGINT, order_id, line_id, sku, product_id, quantity"),
    "return_line": _columns(
        "return_id, line_number:BIGINT, kind, order_id, line_id, channel_code, order_number, sku, product_id, quantity, "
        "requested_at, proof_of_shipment_at, received_at, inspected_at, restocked_at, disposition, reason_code, "
        "resolution, receiving_location_code, source"
    ),
    "refund": _columns(
        "refund_id, system_code, order_id, channel_code, return_external_id, currency_code, amount_minor, shipping_minor, "
        "initiated_at, settled_at"
    ),
    "purchase_order_line": _columns(
        "purchase_order_number, line_number:BIGINT, supplier_code, location_code, product_id, ordered_qty, received_qty, "
        "currency_code, unit_cost_minor, ordered_at, expected_at"
    ),
}
