with count_lines as (
    select * from referentials.stock_count_line
),

movements as (
    select * from referentials.stock_movement
),

products as (
    select * from referentials.product
),

locations as (
    select * from referentials.location
),

local_days as (
    select * from kpis.location_utc_day
),

purchase_lines as (
    select * from referentials.purchase_order_line
),

counted as (
    select distinct location_code, product_id, counted_at
    from count_lines
    where product_id is not null
),

book as (
    select
        counted.location_code,
        counted.product_id,
        counted.counted_at,
        cast(sum(movements.quantity) as bigint) as book_qty
    from counted
    inner join movements
        on
            counted.location_code = movements.location_code
            and counted.product_id = movements.product_id
            and movements.occurred_at <= counted.counted_at
    group by counted.location_code, counted.product_id, counted.counted_at
),

ranked_costs as (
    select
        product_id,
        unit_cost_minor,
        row_number() over (
            partition by product_id
            order by ordered_at desc, purchase_order_number desc, line_number desc
        ) as recency
    from purchase_lines
    where product_id is not null
),

costs as (
    select product_id, unit_cost_minor
    from ranked_costs
    where recency = 1
),

judged as (
    select
        count_lines.system_code,
        count_lines.count_external_id,
        count_lines.location_code,
        locations.company_code,
        count_lines.product_external_id,
        products.product_id,
        products.sku,
        products.category_code,
        count_lines.counted_at,
        local_days.local_date as counted_on,
        count_lines.count_reason,
        count_lines.counted_qty,
        book.book_qty,
        count_lines.counted_qty - book.book_qty as variance_qty,
        costs.unit_cost_minor,
        case
            when locations.location_code is null then 'unknown_location'
            when products.product_id is null then 'unknown_product'
            when products.kind in ('service', 'gift_card', 'kit') or not products.is_stock_tracked
                then 'not_stock_tracked'
            when book.book_qty is null then 'no_book'
            when count_lines.count_reason = 'suspicion' then 'count_on_suspicion'
        end as exclusion_reason
    from count_lines
    left join locations on count_lines.location_code = locations.location_code
    left join products on count_lines.product_id = products.product_id
    left join book
        on
            count_lines.location_code = book.location_code
            and count_lines.product_id = book.product_id
            and count_lines.counted_at = book.counted_at
    left join costs on count_lines.product_id = costs.product_id
    left join local_days
        on
            count_lines.location_code = local_days.location_code
            and cast(floor(epoch(count_lines.counted_at) / 86400) as bigint) = local_days.utc_day
            and count_lines.counted_at >= local_days.day_start_at
            and count_lines.counted_at < local_days.day_end_at
)

select
    system_code,
    count_external_id,
    location_code,
    company_code,
    product_external_id,
    product_id,
    sku,
    category_code,
    counted_at,
    counted_on,
    count_reason,
    counted_qty,
    book_qty,
    variance_qty,
    unit_cost_minor,
    exclusion_reason,
    book_qty >= 0 and variance_qty = 0 as is_accurate_0,
    book_qty >= 0 and abs(variance_qty) * 100 <= book_qty as is_accurate_1,
    book_qty >= 0 and abs(variance_qty) * 100 <= 3 * book_qty as is_accurate_3,
    book_qty >= 0 and abs(variance_qty) * 100 <= 5 * book_qty as is_accurate_5
from judged
