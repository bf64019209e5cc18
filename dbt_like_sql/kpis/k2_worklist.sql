with overdue as (
    select
        order_id,
        channel_code,
        order_number,
        location_code,
        min(promised_ship_by_at) as promised_ship_by_at,
        cast(sum(units) as bigint) as overdue_units
    from kpis.k2_unit_group
    where part_status in ('preparing', 'open') and exclusion_reason is null
    group by order_id, channel_code, order_number, location_code
),

run_clock as (
    select * from meta.run_clock
),

aged as (
    select
        overdue.order_id,
        overdue.channel_code,
        overdue.order_number,
        overdue.location_code,
        overdue.promised_ship_by_at,
        overdue.overdue_units,
        cast(floor(
            (floor(epoch(run_clock.as_of_at)) - floor(epoch(overdue.promised_ship_by_at))) / 3600
        ) as bigint) as overdue_hours
    from overdue
    cross join run_clock
)

select
    channel_code,
    order_number,
    location_code,
    promised_ship_by_at,
    overdue_units,
    overdue_hours,
    case
        when overdue_hours < 24 then '0-24 h'
        when overdue_hours < 72 then '24-72 h'
        else 'over 72 h'
    end as age_bucket,
    cast(row_number() over (
        order by promised_ship_by_at, overdue_units desc, channel_code, order_number, order_id, location_code
    ) as bigint) as work_rank
from aged
