with return_lines as (
    select * from referentials.return_line
),

local_days as (
    select * from kpis.location_utc_day
)

select
    coalesce(return_lines.receiving_location_code, 'unknown') as receiving_location_code,
    local_days.month_start_on,
    cast(sum(return_lines.quantity) as bigint) as units
from return_lines
cross join meta.run_clock as run_clock
left join local_days
    on
        return_lines.receiving_location_code = local_days.location_code
        and cast(floor(epoch(return_lines.received_at) / 86400) as bigint) = local_days.utc_day
        and return_lines.received_at >= local_days.day_start_at
        and return_lines.received_at < local_days.day_end_at
where return_lines.received_at <= run_clock.as_of_at
group by coalesce(return_lines.receiving_location_code, 'unknown'), local_days.month_start_on
