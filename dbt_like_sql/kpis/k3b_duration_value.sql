with periods as (
    select * from (values ('all'), ('day'), ('month')) as period (period_kind)
),

dimensions as (
    select * from (values ('all'), ('company'), ('channel'), ('location')) as dimension (dimension_kind)
),

percentiles as (
    select * from (values (50), (90)) as percentile (pct)
),

durations as (
    select
        'refund_cycle' as duration,
        due_on as day_on,
        company_code,
        channel_code,
        cast(null as varchar) as location_code,
        refund_cycle_seconds as seconds,
        cast(1 as bigint) as units
    from kpis.k3b_return
    where exclusion_reason is null and refund_cycle_seconds is not null
    union all
    select
        'dock_to_stock',
        restocked_on,
        coalesce(company_code, 'unknown'),
        cast(null as varchar),
        coalesce(location_code, 'unknown'),
        dock_to_stock_seconds,
        units
    from kpis.k3b_dock
),

placed as (
    select
        durations.duration,
        periods.period_kind,
        case periods.period_kind
            when 'day' then durations.day_on
            when 'month' then cast(date_trunc('month', durations.day_on) as date)
            else date '1970-01-01'
        end as period_start_on,
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then durations.company_code
            when 'channel' then durations.channel_code
            when 'location' then durations.location_code
            else 'all'
        end as dimension_code,
        durations.seconds,
        durations.units
    from durations
    cross join periods
    cross join dimensions
),

counted as (
    select
        duration,
        period_kind,
        period_start_on,
        dimension_kind,
        dimension_code,
        seconds,
        cast(sum(units) as bigint) as units
    from placed
    where period_start_on is not null and dimension_code is not null
    group by duration, period_kind, period_start_on, dimension_kind, dimension_code, seconds
),

cumulated as (
    select
        duration,
        period_kind,
        period_start_on,
        dimension_kind,
        dimension_code,
        seconds,
        cast(sum(units) over (
            partition by duration, period_kind, period_start_on, dimension_kind, dimension_code
            order by seconds
            rows between unbounded preceding and current row
        ) as bigint) as units_so_far,
        cast(sum(units) over (
            partition by duration, period_kind, period_start_on, dimension_kind, dimension_code
        ) as bigint) as all_units
    from counted
)

select
    'k3b' as kpi_code,
    cumulated.duration || '_p' || cast(percentiles.pct as varchar) as measure,
    cumulated.period_kind,
    cumulated.period_start_on,
    cumulated.dimension_kind,
    cumulated.dimension_code,
    cast(min(cumulated.seconds) as bigint) as numerator,
    cast(null as bigint) as denominator,
    cast(null as bigint) as coverage_numerator,
    cast(null as bigint) as coverage_denominator
from cumulated
cross join percentiles
where 100 * cumulated.units_so_far >= percentiles.pct * cumulated.all_units
group by
    cumulated.duration,
    percentiles.pct,
    cumulated.period_kind,
    cumulated.period_start_on,
    cumulated.dimension_kind,
    cumulated.dimension_code
