with
seen as (
    select * from canonical.stock_count_line
),

live as (
    select
        system_code,
        count_external_id,
        location_code,
        product_external_id,
        counted_qty,
        counted_at,
        count_reason,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    count_external_id,
    location_code,
    product_external_id,
    counted_qty,
    counted_at,
    count_reason,
    observed_at
from live
