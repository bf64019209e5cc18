with location_days as (
    select * from referentials.location_day
),

offsets as (
    select * from (values (0), (1), (2)) as day_offset (days)
),

touched as (
    select
        location_days.location_code,
        cast(floor(epoch(location_days.day_start_at) / 86400) as bigint) + offsets.days as utc_day,
        location_days.local_date,
        cast(date_trunc('month', location_days.local_date) as date) as month_start_on,
        location_days.day_start_at,
        location_days.day_end_at,
        location_days.is_working_day,
        location_days.working_day_index,
        location_days.opens_at,
        location_days.closes_at,
        location_days.cut_off_at,
        location_days.working_seconds_before
    from location_days
    cross join offsets
)

select
    location_code,
    utc_day,
    local_date,
    month_start_on,
    day_start_at,
    day_end_at,
    is_working_day,
    working_day_index,
    opens_at,
    closes_at,
    cut_off_at,
    working_seconds_before
from touched
where utc_day * 86400 < epoch(day_end_at)
