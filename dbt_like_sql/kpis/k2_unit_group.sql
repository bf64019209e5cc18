with lines as (
    select * from kpis.k2_line
),

shipped as (
    select * from kpis.k2_shipped
),

shipments as (
    select * from referentials.shipment
),

recorded_orders as (
    select distinct order_id
    from shipments
    where order_id is not null
),

locations as (
    select * from referentials.location
),

location_days as (
    select * from referentials.location_day
),

utc_days as (
    select * from kpis.location_utc_day
),

run_clock as (
    select * from meta.run_clock
),

shipped_by_line as (
    select
        order_id,
        line_id,
        cast(sum(units) as bigint) as units
    from shipped
    group by order_id, line_id
),

parts as (
    select
        shipped.order_id,
        shipped.line_id,
        'shipment' as part_kind,
        shipped.shipment_id,
        shipped.line_number as shipment_line_number,
        shipped.units
    from shipped
    union all
    select
        order_id,
        line_id,
        'cancelled',
        cast(null as varchar),
        cast(null as bigint),
        cancelled_qty
    from lines
    where cancelled_qty > 0
    union all
    select
        lines.order_id,
        lines.line_id,
        'remainder',
        cast(null as varchar),
        cast(null as bigint),
        lines.wanted_qty - coalesce(shipped_by_line.units, 0)
    from lines
    left join shipped_by_line
        on
            lines.order_id = shipped_by_line.order_id
            and lines.line_id = shipped_by_line.line_id
    where lines.wanted_qty > coalesce(shipped_by_line.units, 0)
),

described as (
    select
        parts.order_id,
        parts.line_id,
        parts.part_kind,
        parts.shipment_id,
        parts.shipment_line_number,
        parts.units,
        lines.channel_code,
        lines.company_code,
        coalesce(lines.pickup_location_code, shipments.location_code, lines.ships_from_code) as location_code,
        shipments.carrier_code,
        lines.order_number,
        lines.product_id,
        lines.sku,
        lines.category_code,
        lines.product_kind,
        lines.quantity as line_quantity,
        lines.net_minor as line_net_minor,
        lines.order_status,
        lines.fulfilled_by,
        lines.is_order_cancelled,
        lines.order_cancel_reason,
        lines.order_cancelled_at,
        lines.line_cancel_reason,
        lines.line_cancelled_at,
        lines.ordered_at,
        lines.payable_at,
        lines.clock_start_at,
        lines.stratum,
        lines.channel_promised_ship_by_at,
        shipments.ship_confirmed_at,
        recorded_orders.order_id is not null as has_shipment_record,
        case when lines.is_pickup then shipments.ready_for_pickup_at else shipments.first_scan_at end as done_at
    from parts
    inner join lines
        on
            parts.order_id = lines.order_id
            and parts.line_id = lines.line_id
    left join shipments on parts.shipment_id = shipments.shipment_id
    left join recorded_orders on parts.order_id = recorded_orders.order_id
),

stated as (
    select
        described.*,
        case
            when part_kind = 'cancelled' then 'cancelled'
            when done_at is not null then 'done'
            when is_order_cancelled then 'cancelled'
            when part_kind = 'shipment' then 'preparing'
            else 'open'
        end as part_status,
        case
            when part_kind = 'cancelled' then line_cancel_reason
            when done_at is null and is_order_cancelled then order_cancel_reason
        end as cancel_reason,
        case
            when part_kind = 'cancelled' then line_cancelled_at
            when done_at is null and is_order_cancelled then order_cancelled_at
        end as cancelled_at
    from described
),

-- After the cut-off, or on a day off, the clock's day is the next working day; the index counts working days only.
started as (
    select
        stated.*,
        utc_days.opens_at as start_opens_at,
        utc_days.closes_at as start_closes_at,
        utc_days.working_seconds_before as start_seconds_before,
        utc_days.working_day_index
        + case when utc_days.is_working_day and stated.clock_start_at <= utc_days.cut_off_at then 0 else 1 end
        + locations.handling_working_days as promise_day_index
    from stated
    left join locations on stated.location_code = locations.location_code
    left join utc_days
        on
            stated.location_code = utc_days.location_code
            and cast(floor(epoch(stated.clock_start_at) / 86400) as bigint) = utc_days.utc_day
            and stated.clock_start_at >= utc_days.day_start_at
            and stated.clock_start_at < utc_days.day_end_at
),

promised as (
    select
        started.*,
        coalesce(started.channel_promised_ship_by_at, promise_days.day_end_at) as promised_ship_by_at,
        case
            when started.channel_promised_ship_by_at is not null then channel_days.local_date
            else promise_days.local_date
        end as promised_on,
        done_days.opens_at as done_opens_at,
        done_days.closes_at as done_closes_at,
        done_days.working_seconds_before as done_seconds_before,
        done_days.local_date as done_on
    from started
    left join location_days as promise_days
        on
            started.location_code = promise_days.location_code
            and started.promise_day_index = promise_days.working_day_index
            and promise_days.is_working_day
    left join utc_days as channel_days
        on
            started.location_code = channel_days.location_code
            and cast(floor((epoch(started.channel_promised_ship_by_at) - 0.00001) / 86400) as bigint) = channel_days.utc_day
            and started.channel_promised_ship_by_at > channel_days.day_start_at
            and started.channel_promised_ship_by_at <= channel_days.day_end_at
    left join utc_days as done_days
        on
            started.location_code = done_days.location_code
            and cast(floor(epoch(started.done_at) / 86400) as bigint) = done_days.utc_day
            and started.done_at >= done_days.day_start_at
            and started.done_at < done_days.day_end_at
),

judged as (
    select
        promised.*,
        run_clock.as_of_at,
        cast(floor(epoch(done_at)) - floor(epoch(clock_start_at)) as bigint) as calendar_seconds,
        done_seconds_before
        + coalesce(
            greatest(
                0,
                cast(floor(epoch(least(done_at, done_closes_at))) - floor(epoch(done_opens_at)) as bigint)
            ),
            0
        )
        - start_seconds_before
        - coalesce(
            greatest(
                0,
                cast(floor(epoch(least(clock_start_at, start_closes_at))) - floor(epoch(start_opens_at)) as bigint)
            ),
            0
        ) as working_seconds,
        case
            when product_kind in ('service', 'gift_card') then product_kind
            when fulfilled_by <> 'retailer' then 'fulfilled_by_other'
            when
                order_status = 'failed'
                or (is_order_cancelled and order_cancel_reason = 'payment')
                or cancel_reason = 'payment'
                then 'payment_failed'
            when payable_at is null and (part_status <> 'cancelled' or cancel_reason <> 'customer') then 'not_payable'
            when order_status = 'refunded' and part_status in ('preparing', 'open') then 'refunded_before_shipping'
            when
                part_status = 'cancelled' and cancel_reason = 'customer'
                and (
                    promised_ship_by_at is null
                    or cancelled_at is null
                    or payable_at is null
                    or cancelled_at < payable_at
                    or cancelled_at < promised_ship_by_at
                )
                then 'cancelled_by_customer'
            -- The channel says that it left, and nobody told us when: not late, unknown.
            when
                order_status in ('shipped', 'delivered') and part_status = 'open'
                and not has_shipment_record
                then 'no_handover_record'
            when promised_ship_by_at is null then 'no_calendar'
            when promised_ship_by_at > run_clock.as_of_at then 'not_due'
        end as exclusion_reason
    from promised
    cross join run_clock
)

select
    order_id,
    line_id,
    part_kind,
    shipment_id,
    shipment_line_number,
    channel_code,
    company_code,
    location_code,
    carrier_code,
    order_number,
    product_id,
    sku,
    category_code,
    units,
    line_quantity,
    line_net_minor,
    part_status,
    cancel_reason,
    cancelled_at,
    ordered_at,
    stratum,
    clock_start_at,
    promised_ship_by_at,
    promised_on,
    ship_confirmed_at,
    done_at,
    done_on,
    greatest(0, calendar_seconds) as handover_calendar_seconds,
    case when working_seconds is not null then greatest(0, working_seconds) end as handover_working_seconds,
    exclusion_reason,
    exclusion_reason is null and part_status = 'done' and done_at <= promised_ship_by_at as is_on_time
from judged
