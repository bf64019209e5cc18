with periods as (
    select * from (values ('all'), ('day'), ('month')) as period (period_kind)
),

dimensions as (
    select *
    from (values ('all'), ('company'), ('channel'), ('location'), ('carrier')) as dimension (dimension_kind)
),

percentiles as (
    select * from (values (50), (90), (95)) as percentile (pct)
),

handed_over as (
    select
        promised_on,
        company_code,
        channel_code,
        coalesce(location_code, 'unknown') as location_code,
        coalesce(carrier_code, 'unknown') as carrier_code,
        handover_calendar_seconds,
        handover_working_seconds,
        units
    from kpis.k2_unit_group
    where exclusion_reason is null and part_status = 'done' and stratum = 'standard'
),

durations as (
    select
        'calendar' as clock, promised_on, company_code, channel_code, location_code, carrier_code,
        handover_calendar_seconds as seconds, cast(sum(units) as bigint) as units
    from handed_over
    group by promised_on, company_code, channel_code, location_code, carrier_code, handover_calendar_seconds
    union all
    select
        'working', promised_on, company_code, channel_code, location_code, carrier_code,
        handover_working_seconds, cast(sum(units) as bigint)
    from handed_over
    where handover_working_seconds is not null
    group by promised_on, company_code, channel_code, location_code, carrier_code, handover_working_seconds
),

placed as (
    select
        durations.clock,
        periods.period_kind,
        case periods.period_kind
            when 'day' then durations.promised_on
            when 'month' then cast(date_trunc('month', durations.promised_on) as date)
            else date '1970-01-01'
        end as period_start_on,
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then durations.company_code
            when 'channel' then durations.channel_code
            when 'location' then durations.location_code
            when 'carrier' then durations.carrier_code
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
        clock,
        period_kind,
        period_start_on,
        dimension_kind,
        dimension_code,
        seconds,
        cast(sum(units) as bigint) as units
    from placed
    where period_start_on is not null
    group by clock, period_kind, period_start_on, dimension_kind, dimension_code, seconds
),

cumulated as (
    select
        clock,
        period_kind,
        period_start_on,
        dimension_kind,
        dimension_code,
        seconds,
        cast(sum(units) over (
            partition by clock, period_kind, period_start_on, dimension_kind, dimension_code
            order by seconds
            rows between unbounded preceding and current row
        ) as bigint) as units_so_far,
        cast(sum(units) over (
            partition by clock, period_kind, period_start_on, dimension_kind, dimension_code
        ) as bigint) as all_units
    from counted
)

select
    'k2' as kpi_code,
    'handover_' || cumulated.clock || '_p' || cast(percentiles.pct as varchar) as measure,
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
    cumulated.clock,
    percentiles.pct,
    cumulated.period_kind,
    cumulated.period_start_on,
    cumulated.dimension_kind,
    cumulated.dimension_code
