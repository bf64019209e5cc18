with orphans as (
    select * from kpis.k3a_return_line
    where exclusion_reason = 'orphan'
)

select
    return_id as return_external_id,
    line_number,
    sku,
    quantity,
    receiving_location_code,
    received_at,
    order_number,
    cast(row_number() over (order by received_at asc nulls last, return_id, line_number, source, line_id) as bigint) as work_rank
from orphans
