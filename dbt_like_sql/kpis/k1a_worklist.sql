with count_lines as (
    select * from kpis.k1a_count_line
    where exclusion_reason is null
),

threshold as (
    select coalesce(tolerance_pct, 0) as tolerance_pct
    from retailer.kpi_threshold
    where kpi_code = 'k1a'
),

inaccurate as (
    select
        count_lines.system_code,
        count_lines.location_code,
        count_lines.product_id,
        count_lines.sku,
        count_lines.count_external_id,
        count_lines.counted_at,
        count_lines.counted_qty,
        count_lines.book_qty,
        count_lines.variance_qty,
        count_lines.product_external_id
    from count_lines
    cross join threshold
    where
        count_lines.book_qty < 0
        or abs(count_lines.variance_qty) * 100 > threshold.tolerance_pct * count_lines.book_qty
)

select
    location_code,
    product_id,
    sku,
    count_external_id,
    counted_at,
    counted_qty,
    book_qty,
    variance_qty,
    cast(row_number() over (
        order by
            abs(variance_qty) desc, counted_at desc, location_code, product_id, count_external_id, system_code, product_external_id
    ) as bigint) as work_rank
from inaccurate
