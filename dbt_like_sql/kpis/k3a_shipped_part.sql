with web_parts as (
    select * from kpis.k2_unit_group
    where part_status = 'done' and coalesce(exclusion_reason, 'rated') not in ('service', 'gift_card')
),

orders as (
    select * from referentials.sales_order
),

order_lines as (
    select * from referentials.sales_order_line
),

channels as (
    select * from referentials.channel
    where kind = 'stores'
),

products as (
    select * from referentials.product
),

local_days as (
    select * from kpis.location_utc_day
),

till_parts as (
    select
        orders.order_id,
        order_lines.line_id,
        orders.channel_code,
        channels.company_code,
        orders.location_code,
        order_lines.product_id,
        products.category_code,
        orders.ordered_at as done_at,
        local_days.local_date as shipped_on,
        order_lines.quantity,
        order_lines.net_minor
    from orders
    inner join channels on orders.channel_code = channels.channel_code
    inner join order_lines on orders.order_id = order_lines.order_id
    left join products on order_lines.product_id = products.product_id
    left join local_days
        on
            orders.location_code = local_days.location_code
            and cast(floor(epoch(orders.ordered_at) / 86400) as bigint) = local_days.utc_day
            and orders.ordered_at >= local_days.day_start_at
            and orders.ordered_at < local_days.day_end_at
    where
        order_lines.quantity > 0
        and orders.replaces_return_id is null
        and coalesce(products.kind, 'unknown') not in ('service', 'gift_card')
),

-- Units of a line are numbered in the order in which they left: this part holds those after first_unit up to last_unit.
-- A ticket's line leaves at once, whole.
numbered as (
    select
        order_id,
        line_id,
        shipment_id,
        shipment_line_number,
        channel_code,
        company_code,
        location_code,
        product_id,
        category_code,
        done_at,
        done_on as shipped_on,
        units,
        line_quantity,
        line_net_minor,
        cast(sum(units) over (
            partition by order_id, line_id
            order by done_at, shipment_id, shipment_line_number
            rows between unbounded preceding and current row
        ) as bigint) as last_unit
    from web_parts
    union all
    select
        order_id,
        line_id,
        cast(null as varchar) as shipment_id,
        cast(null as bigint) as shipment_line_number,
        channel_code,
        company_code,
        location_code,
        product_id,
        category_code,
        done_at,
        shipped_on,
        quantity as units,
        quantity as line_quantity,
        net_minor as line_net_minor,
        quantity as last_unit
    from till_parts
)

select
    order_id,
    line_id,
    shipment_id,
    shipment_line_number,
    channel_code,
    company_code,
    location_code,
    product_id,
    category_code,
    done_at,
    shipped_on,
    units,
    last_unit - units as first_unit,
    last_unit,
    line_quantity,
    line_net_minor,
    cast(floor((2 * line_net_minor * last_unit + line_quantity) / (2 * line_quantity)) as bigint)
    - cast(floor((2 * line_net_minor * (last_unit - units) + line_quantity) / (2 * line_quantity)) as bigint) as net_minor,
    floor(epoch(run_clock.as_of_at)) - floor(epoch(done_at)) >= threshold.window_days * 86400 as is_mature
from numbered
cross join meta.run_clock as run_clock
cross join retailer.kpi_threshold as threshold
where threshold.kpi_code = 'k3a'
