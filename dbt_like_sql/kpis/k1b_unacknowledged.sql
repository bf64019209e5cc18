with orders as (
    select * from referentials.sales_order
),

order_lines as (
    select * from referentials.sales_order_line
),

channels as (
    select * from referentials.channel
),

acknowledgements as (
    select * from referentials.order_acknowledgement
    where is_accepted
),

stock_levels as (
    select * from referentials.stock_level
),

kit_components as (
    select * from referentials.kit_component
),

first_acknowledgements as (
    select
        channel_code,
        order_number,
        min(acknowledged_at) as acknowledged_at
    from acknowledgements
    group by channel_code, order_number
),

-- What may still have to leave the book; an acknowledging channel's shipped orders only when the master never heard of them.
candidates as (
    select
        orders.order_id,
        orders.ordered_at,
        channels.is_order_acknowledged,
        first_acknowledgements.acknowledged_at,
        coalesce(orders.location_code, channels.ships_from_code) as location_code
    from orders
    inner join channels on orders.channel_code = channels.channel_code
    left join first_acknowledgements
        on orders.channel_code = first_acknowledgements.channel_code
        and orders.order_number = first_acknowledgements.order_number
    where
        orders.status not in ('cancelled', 'failed')
        and orders.cancelled_at is null
        and orders.fulfilled_by = 'retailer'
        and (
            not coalesce(channels.is_order_acknowledged, false)
            or orders.status not in ('shipped', 'delivered')
            or first_acknowledgements.acknowledged_at is null
        )
),

units as (
    select
        candidates.location_code,
        coalesce(kit_components.component_product_id, order_lines.product_id) as product_id,
        (order_lines.quantity - order_lines.cancelled_qty) * coalesce(kit_components.component_qty, 1) as quantity,
        candidates.ordered_at,
        candidates.is_order_acknowledged,
        candidates.acknowledged_at
    from candidates
    inner join order_lines on candidates.order_id = order_lines.order_id
    left join kit_components on order_lines.product_id = kit_components.kit_product_id
    where order_lines.product_id is not null and order_lines.quantity > order_lines.cancelled_qty
),

dated as (
    select
        units.location_code,
        units.product_id,
        units.quantity,
        units.ordered_at,
        units.is_order_acknowledged,
        units.acknowledged_at,
        coalesce(stock_levels.as_of_at, run_clock.as_of_at) as stock_as_of_at
    from units
    cross join meta.run_clock as run_clock
    left join stock_levels
        on units.location_code = stock_levels.location_code
        and units.product_id = stock_levels.product_id
)

select
    location_code,
    product_id,
    cast(sum(quantity) as bigint) as unacknowledged_qty,
    max(ordered_at) as last_ordered_at
from dated
where
    (is_order_acknowledged and (acknowledged_at is null or acknowledged_at > stock_as_of_at))
    or (not coalesce(is_order_acknowledged, false) and ordered_at > stock_as_of_at)
group by location_code, product_id
