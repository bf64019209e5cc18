with lines as (
    select order_id, line_id, sku, wanted_qty, is_pickup
    from kpis.k2_line
),

shipments as (
    select * from referentials.shipment
),

shipment_lines as (
    select * from referentials.shipment_line
),

dated_shipments as (
    select
        shipments.shipment_id,
        shipment_lines.line_number,
        shipment_lines.order_id,
        shipment_lines.line_id,
        shipment_lines.sku,
        shipment_lines.quantity,
        shipments.cancelled_at,
        shipments.ready_for_pickup_at,
        shipments.first_scan_at
    from shipment_lines
    inner join shipments on shipment_lines.shipment_id = shipments.shipment_id
),

order_methods as (
    select distinct order_id, is_pickup
    from lines
),

live_shipments as (
    select
        dated_shipments.shipment_id,
        dated_shipments.line_number,
        dated_shipments.order_id,
        dated_shipments.line_id,
        dated_shipments.sku,
        dated_shipments.quantity,
        case when order_methods.is_pickup then dated_shipments.ready_for_pickup_at else dated_shipments.first_scan_at end
            as done_at
    from dated_shipments
    inner join order_methods on dated_shipments.order_id = order_methods.order_id
    where
        dated_shipments.cancelled_at is null
        or (order_methods.is_pickup and dated_shipments.ready_for_pickup_at is not null)
        or (not order_methods.is_pickup and dated_shipments.first_scan_at is not null)
),

-- Shipment lines fill their own order line first, in the order in which they were handed over ...
stacked as (
    select
        live_shipments.shipment_id,
        live_shipments.line_number,
        live_shipments.order_id,
        lines.line_id,
        coalesce(live_shipments.sku, lines.sku) as sku,
        live_shipments.quantity,
        live_shipments.done_at,
        coalesce(lines.wanted_qty, 0) as wanted_qty,
        cast(sum(live_shipments.quantity) over (
            partition by live_shipments.order_id, lines.line_id
            order by live_shipments.done_at asc nulls last, live_shipments.shipment_id, live_shipments.line_number
            rows between unbounded preceding and current row
        ) as bigint) as stacked_qty
    from live_shipments
    left join lines
        on
            live_shipments.order_id = lines.order_id
            and live_shipments.line_id = lines.line_id
),

direct as (
    select
        shipment_id,
        line_number,
        order_id,
        line_id,
        sku,
        quantity,
        done_at,
        case
            when line_id is null then 0
            else greatest(0, least(stacked_qty, wanted_qty) - least(stacked_qty - quantity, wanted_qty))
        end as units
    from stacked
),

-- ... and what they hold beyond it fills the order's other lines of the same SKU.
spilled as (
    select
        shipment_id,
        line_number,
        order_id,
        sku,
        done_at,
        cast(sum(quantity - units) as bigint) as quantity
    from direct
    where quantity > units and sku is not null
    group by shipment_id, line_number, order_id, sku, done_at
),

stacked_spills as (
    select
        shipment_id,
        line_number,
        order_id,
        sku,
        quantity,
        cast(sum(quantity) over (
            partition by order_id, sku
            order by done_at asc nulls last, shipment_id, line_number
            rows between unbounded preceding and current row
        ) as bigint) as stacked_qty
    from spilled
),

spilled_orders as (
    select distinct order_id, sku
    from spilled
),

filled as (
    select
        order_id,
        line_id,
        cast(sum(units) as bigint) as units
    from direct
    where units > 0
    group by order_id, line_id
),

unfilled as (
    select
        lines.order_id,
        lines.line_id,
        lines.sku,
        lines.wanted_qty - coalesce(filled.units, 0) as quantity,
        cast(sum(lines.wanted_qty - coalesce(filled.units, 0)) over (
            partition by lines.order_id, lines.sku
            order by lines.line_id
            rows between unbounded preceding and current row
        ) as bigint) as stacked_qty
    from lines
    inner join spilled_orders
        on
            lines.order_id = spilled_orders.order_id
            and lines.sku = spilled_orders.sku
    left join filled
        on
            lines.order_id = filled.order_id
            and lines.line_id = filled.line_id
),

overlapping as (
    select
        stacked_spills.shipment_id,
        stacked_spills.line_number,
        unfilled.order_id,
        unfilled.line_id,
        least(stacked_spills.stacked_qty, unfilled.stacked_qty)
        - greatest(
            stacked_spills.stacked_qty - stacked_spills.quantity, unfilled.stacked_qty - unfilled.quantity
        ) as units
    from stacked_spills
    inner join unfilled
        on
            stacked_spills.order_id = unfilled.order_id
            and stacked_spills.sku = unfilled.sku
),

put as (
    select order_id, line_id, shipment_id, line_number, units
    from direct
    where units > 0
    union all
    select order_id, line_id, shipment_id, line_number, units
    from overlapping
    where units > 0
)

select
    order_id,
    line_id,
    shipment_id,
    line_number,
    cast(sum(units) as bigint) as units
from put
group by order_id, line_id, shipment_id, line_number
