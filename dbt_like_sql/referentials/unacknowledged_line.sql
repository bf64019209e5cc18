with
orders as (
    select * from referentials.sales_order
),

order_lines as (
    select * from referentials.sales_order_line
),

channels as (
    select * from retailer.channel
),

acknowledgements as (
    select * from referentials.order_acknowledgement where is_accepted
),

kits as (
    select * from referentials.kit_component
),

levels as (
    select * from referentials.stock_level
),

run_clock as (
    select * from meta.run_clock
),

-- No booking older than this can be open by its age alone: most orders are, and need no further look.
oldest as (
    select
        case
            when min(levels.as_of_at) < min(run_clock.as_of_at) then min(levels.as_of_at)
            else min(run_clock.as_of_at)
        end as known_until_at
    from run_clock
    left join levels on levels.as_of_at is not null
),

-- Orders first: few may be open, and only their lines are needed.
open_orders as (
    select
        orders.order_id,
        orders.ordered_at,
        orders.status,
        coalesce(orders.location_code, channels.ships_from_code) as location_code,
        channels.kind <> 'stores' and coalesce(channels.is_order_acknowledged, false) as is_order_acknowledged,
        acknowledgements.acknowledged_at
    from orders
    inner join channels on orders.channel_code = channels.channel_code
    cross join oldest
    left join acknowledgements
        on
            orders.channel_code = acknowledgements.channel_code
            and orders.order_number = acknowledgements.order_number
    where
        orders.status not in ('cancelled', 'failed', 'refunded')
        and orders.cancelled_at is null
        and orders.fulfilled_by = 'retailer'
        and (
            orders.ordered_at > oldest.known_until_at
            or (
                channels.kind <> 'stores'
                and channels.is_order_acknowledged
                and (
                    acknowledgements.acknowledged_at is null
                    or acknowledgements.acknowledged_at > oldest.known_until_at
                )
            )
        )
),

-- Units will leave the place that hands them over, else the one the channel ships from.
open_lines as (
    select
        open_orders.order_id,
        order_lines.line_id,
        order_lines.product_id,
        order_lines.quantity - order_lines.cancelled_qty as quantity,
        open_orders.ordered_at,
        open_orders.status,
        open_orders.location_code,
        open_orders.is_order_acknowledged,
        open_orders.acknowledged_at
    from open_orders
    inner join order_lines on open_orders.order_id = order_lines.order_id
    where
        order_lines.product_id is not null
        and order_lines.quantity > order_lines.cancelled_qty
),

-- The book holds components, not kits.
exploded as (
    select
        open_lines.order_id,
        open_lines.line_id,
        open_lines.location_code,
        coalesce(kits.component_product_id, open_lines.product_id) as product_id,
        open_lines.quantity * coalesce(kits.component_qty, 1) as quantity,
        open_lines.ordered_at,
        open_lines.status,
        open_lines.is_order_acknowledged,
        open_lines.acknowledged_at
    from open_lines
    left join kits on open_lines.product_id = kits.kit_product_id
    where open_lines.location_code is not null
),

-- Each booking is judged at the instant the master computed that item's row; where it has none, at the run's clock.
judged as (
    select
        exploded.*,
        coalesce(levels.as_of_at, run_clock.as_of_at) as known_until_at
    from exploded
    cross join run_clock
    left join levels
        on exploded.location_code = levels.location_code and exploded.product_id = levels.product_id
)

select
    order_id,
    line_id,
    location_code,
    product_id,
    cast(sum(quantity) as bigint) as quantity,
    ordered_at
from judged
where
    case
        when is_order_acknowledged
            then
                (acknowledged_at is null or acknowledged_at > known_until_at)
                and (acknowledged_at is null or status not in ('shipped', 'delivered'))
        else ordered_at > known_until_at
    end
group by order_id, line_id, location_code, product_id, ordered_at
