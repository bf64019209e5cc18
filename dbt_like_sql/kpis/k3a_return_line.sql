with return_lines as (
    select * from referentials.return_line
),

orders as (
    select * from referentials.sales_order
),

matched as (
    select
        source,
        return_id,
        line_number,
        order_id,
        line_id,
        cast(sum(units) as bigint) as units
    from kpis.k3a_returned_unit
    group by source, return_id, line_number, order_id, line_id
),

judged as (
    select
        return_lines.source,
        return_lines.return_id,
        return_lines.line_number,
        return_lines.kind,
        coalesce(orders.channel_code, return_lines.channel_code) as channel_code,
        return_lines.order_number,
        return_lines.order_id,
        return_lines.line_id,
        return_lines.sku,
        return_lines.quantity,
        return_lines.received_at,
        return_lines.receiving_location_code,
        coalesce(matched.units, 0) as matched_units,
        case
            when return_lines.order_id is null or return_lines.line_id is null then 'orphan'
            when return_lines.kind = 'undeliverable' then 'undeliverable'
            when return_lines.received_at is null or return_lines.received_at > run_clock.as_of_at then 'not_received'
            when return_lines.quantity > coalesce(matched.units, 0) then 'more_than_shipped'
        end as exclusion_reason
    from return_lines
    cross join meta.run_clock as run_clock
    left join orders on return_lines.order_id = orders.order_id
    left join matched
        on
            return_lines.source = matched.source
            and return_lines.return_id = matched.return_id
            and return_lines.line_number = matched.line_number
            and return_lines.order_id = matched.order_id
            and return_lines.line_id = matched.line_id
)

select
    source,
    return_id,
    line_number,
    kind,
    channel_code,
    order_number,
    order_id,
    line_id,
    sku,
    quantity,
    received_at,
    receiving_location_code,
    matched_units,
    quantity - matched_units as excluded_units,
    exclusion_reason
from judged
