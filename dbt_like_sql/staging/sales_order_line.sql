with
seen as (
    select * from canonical.order_line
),

parents as (
    select * from staging.sales_order
),

-- A line that its order's latest version does not hold any more is gone: it was last seen before the order was.
final as (
    select
        seen.system_code,
        seen.order_external_id,
        seen.line_external_id,
        seen.product_external_id,
        seen.sku,
        seen.name,
        seen.quantity,
        seen.cancelled_qty,
        seen.cancel_reason,
        seen.cancelled_at,
        seen.net_minor,
        seen.tax_minor,
        seen.unit_price_minor,
        seen.manual_discount_minor,
        seen.return_reference,
        seen.observed_at
    from seen
    inner join parents
        on seen.system_code = parents.system_code and seen.order_external_id = parents.order_external_id
    where not seen._is_deleted and seen.observed_at >= parents.observed_at
)

select
    system_code,
    order_external_id,
    line_external_id,
    product_external_id,
    sku,
    name,
    quantity,
    cancelled_qty,
    cancel_reason,
    cancelled_at,
    net_minor,
    tax_minor,
    unit_price_minor,
    manual_discount_minor,
    return_reference,
    observed_at
from final
