with
seen as (
    select * from canonical.purchase_order_line
),

live as (
    select
        system_code,
        purchase_order_number,
        line_number,
        supplier_code,
        location_code,
        product_external_id,
        ordered_qty,
        received_qty,
        currency_code,
        unit_cost_minor,
        ordered_at,
        expected_at,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    purchase_order_number,
    line_number,
    supplier_code,
    location_code,
    product_external_id,
    ordered_qty,
    received_qty,
    currency_code,
    unit_cost_minor,
    ordered_at,
    expected_at,
    observed_at
from live
