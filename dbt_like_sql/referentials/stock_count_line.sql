with
counts as (
    select * from staging.stock_count_line
),

xref as (
    select * from referentials.product_xref
)

select
    counts.system_code,
    counts.count_external_id,
    counts.location_code,
    counts.product_external_id,
    xref.product_id,
    counts.counted_qty,
    counts.counted_at,
    counts.count_reason
from counts
left join xref
    on counts.system_code = xref.system_code and counts.product_external_id = xref.product_external_id
