with
seen as (
    select * from canonical.stock_movement
),

live as (
    select
        system_code,
        movement_external_id,
        location_code,
        product_external_id,
        kind,
        quantity,
        occurred_at,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    movement_external_id,
    location_code,
    product_external_id,
    kind,
    quantity,
    occurred_at,
    observed_at
from live
