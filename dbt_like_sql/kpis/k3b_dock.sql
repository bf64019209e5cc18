with return_lines as (
    select * from referentials.return_line
),

locations as (
    select * from referentials.location
),

local_days as (
    select * from kpis.location_utc_day
)

select
    return_lines.source,
    return_lines.return_id,
    return_lines.line_number,
    return_lines.line_id,
    return_lines.receiving_location_code as location_code,
    locations.company_code,
    return_lines.quantity as units,
    return_lines.received_at,
    return_lines.restocked_at,
    local_days.local_date as restocked_on,
    greatest(
        0,
        cast(floor(epoch(return_lines.restocked_at)) - floor(epoch(return_lines.received_at)) as bigint)
    ) as dock_to_stock_seconds
from return_lines
left join locations on return_lines.receiving_location_code = locations.location_code
left join local_days
    on
        return_lines.receiving_location_code = local_days.location_code
        and cast(floor(epoch(return_lines.restocked_at) / 86400) as bigint) = local_days.utc_day
        and return_lines.restocked_at >= local_days.day_start_at
        and return_lines.restocked_at < local_days.day_end_at
where return_lines.received_at is not null and return_lines.restocked_at is not null
