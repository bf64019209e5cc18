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

shipments as (
    select * from referentials.shipment where cancelled_at is null
),

shipment_lines as (
    select * from referentials.shipment_line
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

open_lines as (
    select
        orders.order_id,
        order_lines.line_id,
        order_lines.product_id,
        order_lines.quantity - order_lines.cancelled_qty as quantity,
        orders.ordered_at,
        orders.status,
        orders.fulfilment_method,
        orders.location_code,
        channels.ships_from_code,
        channels.kind <> 'stores' and coalesce(channels.is_order_acknowledged, false) as is_order_acknowledged,
        acknowledgements.acknowledged_at
    from order_lines
    inner join orders on order_lines.order_id = orders.order_id
    inner join channels on orders.channel_code = channels.channel_code
    left join acknowledgements
        on orders.channel_code = acknowledgements.channel_code
        and orders.order_number = acknowledgements.order_number
    where
        orders.status not in ('cancelled', 'failed')
        and orders.fulfilled_by = 'retailer'
        and order_lines.product_id is not null
        and order_lines.quantity - order_lines.cancelled_qty > 0
),

-- Shipped units leave the book of the location that ships them; the rest will leave the one the channel ships from.
shipped as (
    select
        shipment_lines.line_id,
        shipments.location_code,
        cast(sum(shipment_lines.quantity) as bigint) as quantity
    from shipment_lines
    inner join shipments on shipment_lines.shipment_id = shipments.shipment_id
    where shipment_lines.line_id is not null
    group by shipment_lines.line_id, shipments.location_code
),

shipped_lines as (
    select
        line_id,
        cast(sum(quantity) as bigint) as quantity
    from shipped
    group by line_id
),

placed as (
    select
        open_lines.*,
        open_lines.location_code as leaves_from_code,
        open_lines.quantity as leaving_qty
    from open_lines
    where open_lines.fulfilment_method <> 'ship' and open_lines.location_code is not null
    union all
    select
        open_lines.*,
        shipped.location_code as leaves_from_code,
        shipped.quantity as leaving_qty
    from open_lines
    inner join shipped on open_lines.line_id = shipped.line_id
    where open_lines.fulfilment_method = 'ship' or open_lines.location_code is null
    union all
    select
        open_lines.*,
        open_lines.ships_from_code as leaves_from_code,
        open_lines.quantity - coalesce(shipped_lines.quantity, 0) as leaving_qty
    from open_lines
    left join shipped_lines on open_lines.line_id = shipped_lines.line_id
    where
        (open_lines.fulfilment_method = 'ship' or open_lines.location_code is null)
        and open_lines.quantity > coalesce(shipped_lines.quantity, 0)
),

-- The book holds components, not kits.
exploded as (
    select
        placed.order_id,
        placed.line_id,
        placed.leaves_from_code as location_code,
        coalesce(kits.component_product_id, placed.product_id) as product_id,
        placed.leaving_qty * coalesce(kits.component_qty, 1) as quantity,
        placed.ordered_at,
        placed.status,
        placed.is_order_acknowledged,
        placed.acknowledged_at
    from placed
    left join kits on placed.product_id = kits.kit_product_id
    where placed.leaves_from_code is not null
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
