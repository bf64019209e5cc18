with local_dates as (
    select distinct local_date from referentials.channel_day
)

select
    local_date as date_key,
    cast(extract(year from local_date) as integer) as year_number,
    cast(extract(month from local_date) as integer) as month_number,
    cast(date_trunc('month', local_date) as date) as month_start_on,
    -- 1970-01-01 was a Thursday.
    cast((cast(floor(epoch(local_date) / 86400) as bigint) + 3) % 7 + 1 as integer) as iso_weekday
from local_dates
