with periods as (
    select * from (values ('all'), ('day'), ('month')) as period (period_kind)
),

dimensions as (
    select *
    from (values ('all'), ('company'), ('channel'), ('location'), ('category')) as dimension (dimension_kind)
),

cube as (
    select * from kpis.k3a_fact_day
),

placed as (
    select
        cube.measure,
        periods.period_kind,
        case periods.period_kind
            when 'day' then cube.day_on
            when 'month' then cast(date_trunc('month', cube.day_on) as date)
            else date '1970-01-01'
        end as period_start_on,
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then cube.company_code
            when 'channel' then cube.channel_code
            when 'location' then cube.location_code
            when 'category' then cube.category_code
            else 'all'
        end as dimension_code,
        cube.numerator,
        cube.denominator
    from cube
    cross join periods
    cross join dimensions
    where periods.period_kind <> 'all' or cube.is_mature
)

select
    'k3a' as kpi_code,
    measure,
    period_kind,
    period_start_on,
    dimension_kind,
    dimension_code,
    cast(sum(numerator) as bigint) as numerator,
    cast(sum(denominator) as bigint) as denominator,
    cast(sum(denominator) as bigint) as coverage_numerator,
    cast(sum(denominator) as bigint) as coverage_denominator
from placed
where period_start_on is not null and dimension_code is not null
group by measure, period_kind, period_start_on, dimension_kind, dimension_code
