with shipped as (
    select
        order_id,
        shipped_on,
        company_code,
        channel_code,
        coalesce(location_code, 'unknown') as location_code,
        coalesce(category_code, 'unknown') as category_code,
        done_at,
        units,
        net_minor,
        is_mature
    from kpis.k3a_shipped_part
),

returned as (
    select
        order_id,
        received_on,
        shipped_on,
        company_code,
        channel_code,
        coalesce(location_code, 'unknown') as location_code,
        coalesce(category_code, 'unknown') as category_code,
        received_at,
        units,
        net_minor,
        is_mature,
        is_within_window
    from kpis.k3a_returned_unit
),

-- An order counts once: on the day of its first hand-over, and on the day of its first return.
ranked_handovers as (
    select
        order_id,
        shipped_on,
        company_code,
        channel_code,
        is_mature,
        row_number() over (partition by order_id order by done_at, shipped_on) as handover_rank
    from shipped
),

orders_returned_in_window as (
    select distinct order_id
    from returned
    where is_within_window
),

ranked_returns as (
    select
        order_id,
        received_on,
        company_code,
        channel_code,
        row_number() over (partition by order_id order by received_at, received_on) as return_rank
    from returned
),

-- One row per fact, as (measure, side of the ratio, day, place); cohort rows of all periods take mature units only.
facts as (
    select
        'cohort_units' as measure, shipped_on as day_on, is_mature, company_code, channel_code, location_code,
        category_code, cast(0 as bigint) as numerator, units as denominator
    from shipped
    union all
    select 'cohort_units', shipped_on, is_mature, company_code, channel_code, location_code, category_code, units, 0
    from returned
    where is_within_window
    union all
    select 'cohort_net_minor', shipped_on, is_mature, company_code, channel_code, location_code, category_code, 0, net_minor
    from shipped
    union all
    select 'cohort_net_minor', shipped_on, is_mature, company_code, channel_code, location_code, category_code, net_minor, 0
    from returned
    where is_within_window
    union all
    select
        'cohort_orders', ranked_handovers.shipped_on, ranked_handovers.is_mature, ranked_handovers.company_code,
        ranked_handovers.channel_code, cast(null as varchar), cast(null as varchar),
        case when orders_returned_in_window.order_id is null then 0 else 1 end, 1
    from ranked_handovers
    left join orders_returned_in_window on ranked_handovers.order_id = orders_returned_in_window.order_id
    where ranked_handovers.handover_rank = 1
    union all
    select 'period_units', shipped_on, true, company_code, channel_code, location_code, category_code, 0, units
    from shipped
    union all
    select 'period_units', received_on, true, company_code, channel_code, location_code, category_code, units, 0
    from returned
    union all
    select 'period_net_minor', shipped_on, true, company_code, channel_code, location_code, category_code, 0, net_minor
    from shipped
    union all
    select 'period_net_minor', received_on, true, company_code, channel_code, location_code, category_code, net_minor, 0
    from returned
    union all
    select 'period_orders', shipped_on, true, company_code, channel_code, cast(null as varchar), cast(null as varchar), 0, 1
    from ranked_handovers
    where handover_rank = 1
    union all
    select 'period_orders', received_on, true, company_code, channel_code, cast(null as varchar), cast(null as varchar), 1, 0
    from ranked_returns
    where return_rank = 1
)

select
    measure,
    day_on,
    is_mature,
    company_code,
    channel_code,
    location_code,
    category_code,
    cast(sum(numerator) as bigint) as numerator,
    cast(sum(denominator) as bigint) as denominator,
    cast(count(*) as bigint) as fact_qty
from facts
group by measure, day_on, is_mature, company_code, channel_code, location_code, category_code
