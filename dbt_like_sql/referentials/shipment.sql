with
shipments as (
    select * from staging.shipment
),

scans as (
    select * from staging.carrier_scan
),

quoted_orders as (
    select * from referentials.sales_order_reference where reference_place = 1
),

orders as (
    select * from referentials.sales_order
),

parcels as (
    select
        tracking_number,
        min(scanned_at) as first_scan_at,
        min(case when kind = 'delivered' then scanned_at end) as delivered_at
    from scans
    group by tracking_number
)

select
    shipments.shipment_external_id as shipment_id,
    quoted_orders.order_id,
    coalesce(orders.channel_code, shipments.channel_code) as channel_code,
    coalesce(orders.order_number, shipments.order_number) as order_number,
    shipments.location_code,
    shipments.carrier_code,
    shipments.tracking_number,
    shipments.released_at,
    shipments.picked_at,
    shipments.packed_at,
    shipments.label_printed_at,
    shipments.ship_confirmed_at,
    shipments.ready_for_pickup_at,
    shipments.cancelled_at,
    parcels.first_scan_at,
    parcels.delivered_at
from shipments
left join quoted_orders
    on
        shipments.channel_code = quoted_orders.channel_code
        and shipments.order_number = quoted_orders.order_number
left join orders on quoted_orders.order_id = orders.order_id
left join parcels on shipments.tracking_number = parcels.tracking_number
