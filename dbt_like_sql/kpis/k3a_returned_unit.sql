with return_lines as (
    select * from referentials.return_line
),

parts as (
    select * from kpis.k3a_shipped_part
),

local_days as (
    select * from kpis.location_utc_day
),

received as (
    select
        return_lines.source,
        return_lines.return_id,
        return_lines.line_number,
        return_lines.order_id,
        return_lines.line_id,
        return_lines.reason_code,
        return_lines.received_at,
        return_lines.quantity,
        cast(sum(return_lines.quantity) over (
            partition by return_lines.order_id, return_lines.line_id
            order by return_lines.received_at, return_lines.return_id, return_lines.line_number, return_lines.source
            rows between unbounded preceding and current row
        ) as bigint) as last_unit
    from return_lines
    cross join meta.run_clock as run_clock
    where
        return_lines.kind = 'customer_return'
        and return_lines.order_id is not null
        and return_lines.line_id is not null
        and return_lines.received_at <= run_clock.as_of_at
),

matched as (
    select
        received.source,
        received.return_id,
        received.line_number,
        received.reason_code,
        received.received_at,
        parts.order_id,
        parts.line_id,
        parts.shipment_id,
        parts.shipment_line_number,
        parts.channel_code,
        parts.company_code,
        parts.location_code,
        parts.product_id,
        parts.category_code,
        parts.done_at,
        parts.shipped_on,
        parts.is_mature,
        parts.line_quantity,
        parts.line_net_minor,
        greatest(received.last_unit - received.quantity, parts.first_unit) as first_unit,
        least(received.last_unit, parts.last_unit) as last_unit
    from received
    inner join parts
        on
            received.order_id = parts.order_id
            and received.line_id = parts.line_id
            and received.last_unit > parts.first_unit
            and received.last_unit - received.quantity < parts.last_unit
)

select
    matched.source,
    matched.return_id,
    matched.line_number,
    matched.reason_code,
    matched.received_at,
    local_days.local_date as received_on,
    matched.order_id,
    matched.line_id,
    matched.shipment_id,
    matched.shipment_line_number,
    matched.channel_code,
    matched.company_code,
    matched.location_code,
    matched.product_id,
    matched.category_code,
    matched.done_at,
    matched.shipped_on,
    matched.is_mature,
    matched.last_unit - matched.first_unit as units,
    cast(
        floor((2 * matched.line_net_minor * matched.last_unit + matched.line_quantity) / (2 * matched.line_quantity)) as bigint
    )
    - cast(
        floor((2 * matched.line_net_minor * matched.first_unit + matched.line_quantity) / (2 * matched.line_quantity)) as bigint
    ) as net_minor,
    floor(epoch(matched.received_at)) - floor(epoch(matched.done_at)) <= threshold.window_days * 86400 as is_within_window
from matched
cross join retailer.kpi_threshold as threshold
left join local_days
    on
        matched.location_code = local_days.location_code
        and cast(floor(epoch(matched.received_at) / 86400) as bigint) = local_days.utc_day
        and matched.received_at >= local_days.day_start_at
        and matched.received_at < local_days.day_end_at
where threshold.kpi_code = 'k3a'
