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

-- First the hour that holds a percentile, from a small table of hours; then the second, among that hour's units alone.
by_hour as (
    select
        clock,
        promised_on,
        company_code,
        channel_code,
        location_code,
        carrier_code,
        cast(floor(seconds / 3600) as bigint) as hour_number,
        cast(sum(units) as bigint) as units
    from durations
    group by
        clock,
        promised_on,
        company_code,
        channel_code,
        location_code,
        carrier_code,
        cast(floor(seconds / 3600) as bigint)
),

placed_hours as (
    select
        by_hour.clock,
        periods.period_kind,
        case periods.period_kind
            when 'day' then by_hour.promised_on
            when 'month' then cast(date_trunc('month', by_hour.promised_on) as date)
            else date '1970-01-01'
        end as period_start_on,
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then by_hour.company_code
            when 'channel' then by_hour.channel_code
            when 'location' then by_hour.location_code
            when 'carrier' then by_hour.carrier_code
            else 'all'
        end as dimension_code,
        by_hour.hour_number,
        by_hour.units
    from by_hour
    cross join periods
    cross join dimensions
),

counted_hours as (
    select
        clock,
        period_kind,
        period_start_on,
        dimension_kind,
        dimension_code,
        hour_number,
        cast(sum(units) as bigint) as units
    from placed_hours
    where period_start_on is not null
    group by clock, period_kind, period_start_on, dimension_kind, dimension_code, hour_number
),

cumulated_hours as (
    select
        clock,
        period_kind,
        period_start_on,
        dimension_kind,
        dimension_code,
        hour_number,
        cast(sum(units) over (
            partition by clock, period_kind, period_start_on, dimension_kind, dimension_code
            order by hour_number
            rows between unbounded preceding and current row
        ) as bigint) - units as units_before,
        units,
        cast(sum(units) over (
            partition by clock, period_kind, period_start_on, dimension_kind, dimension_code
        ) as bigint) as all_units
    from counted_hours
),

sought as (
    select
        cumulated_hours.clock,
        percentiles.pct,
        cumulated_hours.period_kind,
        cumulated_hours.period_start_on,
        cumulated_hours.dimension_kind,
        cumulated_hours.dimension_code,
        min(cumulated_hours.hour_number) as hour_number,
        min(cumulated_hours.units_before) as units_before,
        min(cumulated_hours.all_units) as all_units
    from cumulated_hours
    cross join percentiles
    where
        100 * (cumulated_hours.units_before + cumulated_hours.units)
        >= percentiles.pct * cumulated_hours.all_units
    group by
        cumulated_hours.clock,
        percentiles.pct,
        cumulated_hours.period_kind,
        cumulated_hours.period_start_on,
        cumulated_hours.dimension_kind,
        cumulated_hours.dimension_code
),

sought_hours as (
    select distinct clock, period_kind, period_start_on, dimension_kind, dimension_code, hour_number
    from sought
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
        cast(floor(durations.seconds / 3600) as bigint) as hour_number,
        durations.seconds,
        durations.units
    from durations
    cross join periods
    cross join dimensions
),

counted as (
    select
        placed.clock,
        placed.period_kind,
        placed.period_start_on,
        placed.dimension_kind,
        placed.dimension_code,
        placed.hour_number,
        placed.seconds,
        cast(sum(placed.units) as bigint) as units
    from placed
    inner join sought_hours
        on
            placed.clock = sought_hours.clock
            and placed.period_kind = sought_hours.period_kind
            and placed.period_start_on = sought_hours.period_start_on
            and placed.dimension_kind = sought_hours.dimension_kind
            and placed.dimension_code = sought_hours.dimension_code
            and placed.hour_number = sought_hours.hour_number
    group by
        placed.clock,
        placed.period_kind,
        placed.period_start_on,
        placed.dimension_kind,
        placed.dimension_code,
        placed.hour_number,
        placed.seconds
),

cumulated as (
    select
        clock,
        period_kind,
        period_start_on,
        dimension_kind,
        dimension_code,
        hour_number,
        seconds,
        cast(sum(units) over (
            partition by clock, period_kind, period_start_on, dimension_kind, dimension_code, hour_number
            order by seconds
            rows between unbounded preceding and current row
        ) as bigint) as units_so_far
    from counted
)

select
    'k2' as kpi_code,
    'handover_' || sought.clock || '_p' || cast(sought.pct as varchar) as measure,
    sought.period_kind,
    sought.period_start_on,
    sought.dimension_kind,
    sought.dimension_code,
    cast(min(cumulated.seconds) as bigint) as numerator,
    cast(null as bigint) as denominator,
    cast(null as bigint) as coverage_numerator,
    cast(null as bigint) as coverage_denominator
from sought
inner join cumulated
    on
        sought.clock = cumulated.clock
        and sought.period_kind = cumulated.period_kind
        and sought.period_start_on = cumulated.period_start_on
        and sought.dimension_kind = cumulated.dimension_kind
        and sought.dimension_code = cumulated.dimension_code
        and sought.hour_number = cumulated.hour_number
where 100 * (sought.units_before + cumulated.units_so_far) >= sought.pct * sought.all_units
group by
    sought.clock,
    sought.pct,
    sought.period_kind,
    sought.period_start_on,
    sought.dimension_kind,
    sought.dimension_code
