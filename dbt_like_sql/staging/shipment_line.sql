with
seen as (
    select * from canonical.shipment_line
),

live as (
    select
        system_code,
        shipment_external_id,
        line_number,
        order_line_external_id,
        sku,
        quantity,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    shipment_external_id,
    line_number,
    order_line_external_id,
    sku,
    quantity,
    observed_at
from live
