with
seen as (
    select * from canonical.shipment
),

live as (
    select
        system_code,
        shipment_external_id,
        channel_code,
        order_number,
        location_code,
        carrier_code,
        tracking_number,
        released_at,
        picked_at,
        packed_at,
        label_printed_at,
        ship_confirmed_at,
        ready_for_pickup_at,
        cancelled_at,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    shipment_external_id,
    channel_code,
    order_number,
    location_code,
    carrier_code,
    tracking_number,
    released_at,
    picked_at,
    packed_at,
    label_printed_at,
    ship_confirmed_at,
    ready_for_pickup_at,
    cancelled_at,
    observed_at
from live
