with channel_days as (
    select * from referentials.channel_day
),

offsets as (
    select * from (values (0), (1), (2)) as day_offset (days)
),

touched as (
    select
        channel_days.channel_code,
        cast(floor(epoch(channel_days.day_start_at) / 86400) as bigint) + offsets.days as utc_day,
        channel_days.local_date,
        cast(date_trunc('month', channel_days.local_date) as date) as month_start_on,
        channel_days.day_start_at,
        channel_days.day_end_at
    from channel_days
    cross join offsets
)

select
    channel_code,
    utc_day,
    local_date,
    month_start_on,
    day_start_at,
    day_end_at
from touched
where utc_day * 86400 < epoch(day_end_at)
