with orders as (
    select * from referentials.sales_order
    where status in ('payable', 'shipped') and fulfilled_by = 'retailer' and fulfilment_method = 'ship'
),

shop_orders as (
    select * from staging.sales_order
),

sales_channels as (
    select * from referentials.channel
    where kind = 'web'
),

parts as (
    select * from kpis.k2_unit_group
),

shipments as (
    select * from referentials.shipment
),

run_clock as (
    select * from meta.run_clock
),

-- Orders that a shop calls shipped already get a parcel number for so many days.
late_numbers as (
    select 7 * 86400 as window_s
),

-- Few orders are on their way to a web shop's buyer: what is asked of all that was ever sent is asked of theirs alone.
open_orders as (
    select orders.order_id
    from orders
    inner join sales_channels
        on orders.channel_code = sales_channels.channel_code and orders.system_code = sales_channels.system_code
),

open_parts as (
    select
        parts.order_id,
        parts.part_kind,
        parts.part_status,
        parts.exclusion_reason,
        parts.units,
        parts.shipment_id,
        parts.done_at
    from parts
    inner join open_orders on parts.order_id = open_orders.order_id
),

handed_over as (
    select
        order_id,
        cast(sum(case when part_status = 'done' then units else 0 end) as bigint) as done_units,
        cast(sum(
            case
                when part_status in ('preparing', 'open') and coalesce(exclusion_reason, '') not in ('service', 'gift_card')
                    then units
                else 0
            end
        ) as bigint) as waiting_units,
        max(case when part_status = 'done' then done_at end) as last_done_at
    from open_parts
    group by order_id
),

parcels as (
    select distinct
        open_parts.order_id,
        open_parts.shipment_id,
        open_parts.done_at,
        shipments.tracking_number
    from open_parts
    inner join shipments on open_parts.shipment_id = shipments.shipment_id
    where open_parts.part_kind = 'shipment' and open_parts.part_status = 'done' and shipments.tracking_number is not null
),

last_parcels as (
    select
        order_id,
        tracking_number,
        row_number() over (partition by order_id order by done_at desc, shipment_id desc) as place
    from parcels
),

joined as (
    select
        orders.order_id,
        orders.channel_code,
        orders.system_code,
        orders.order_external_id,
        orders.order_number,
        orders.status,
        orders.tracking_number,
        orders.currency_code,
        shop_orders.observed_at,
        handed_over.done_units,
        handed_over.waiting_units,
        last_parcels.tracking_number as parcel_number,
        case
            when orders.status = 'payable' and handed_over.waiting_units = 0 then 'shipped'
            else orders.status
        end as desired_status,
        orders.status = 'payable'
        or floor(epoch(run_clock.as_of_at)) - floor(epoch(handed_over.last_done_at)) <= late_numbers.window_s
            as is_number_due
    from orders
    inner join sales_channels
        on orders.channel_code = sales_channels.channel_code and orders.system_code = sales_channels.system_code
    inner join shop_orders
        on orders.system_code = shop_orders.system_code and orders.order_external_id = shop_orders.order_external_id
    inner join handed_over on orders.order_id = handed_over.order_id
    cross join run_clock
    cross join late_numbers
    left join last_parcels on orders.order_id = last_parcels.order_id and last_parcels.place = 1
    where handed_over.done_units > 0
),

-- A number that the shop holds stays: it may be of another parcel of the same order, or entered by hand.
wanted as (
    select
        joined.*,
        coalesce(tracking_number, case when is_number_due then parcel_number end) as desired_tracking_number
    from joined
),

judged as (
    select
        wanted.*,
        desired_status <> status or coalesce(tracking_number, '') <> coalesce(desired_tracking_number, '') as is_different,
        not regexp_matches(
            coalesce(tracking_number, '') || coalesce(desired_tracking_number, ''), '^[0-9A-Za-z ._/+:#-]*$'
        ) as is_number_odd
    from wanted
)

select
    order_id,
    channel_code,
    system_code,
    order_external_id,
    order_number,
    status,
    tracking_number,
    desired_status,
    desired_tracking_number,
    is_different,
    case when is_different and is_number_odd then 'tracking_number_not_writable' end as unwritable_reason,
    case
        when not is_number_odd
            then
                '{"status": "' || status || '", "tracking_number": '
                || coalesce('"' || tracking_number || '"', 'null') || '}'
    end as before_value,
    case
        when not is_number_odd
            then
                '{"status": "' || desired_status || '", "tracking_number": '
                || coalesce('"' || desired_tracking_number || '"', 'null') || '}'
    end as after_value,
    case
        when status <> desired_status then 'all ' || cast(done_units as varchar) || ' units were handed over'
        when waiting_units = 0 then 'handed over, its parcel number is missing'
        else cast(done_units as varchar) || ' units were handed over, ' || cast(waiting_units as varchar) || ' wait'
    end as reason,
    done_units as units_at_risk,
    currency_code,
    observed_at
from judged
