with periods as (
    select * from (values ('all'), ('day'), ('month')) as period (period_kind)
),

dimensions as (
    select * from (values ('all'), ('company'), ('location'), ('category')) as dimension (dimension_kind)
),

cube as (
    select
        counted_on,
        coalesce(company_code, 'unknown') as company_code,
        coalesce(location_code, 'unknown') as location_code,
        coalesce(category_code, 'unknown') as category_code,
        cast(sum(case when exclusion_reason is null then 1 else 0 end) as bigint) as rated_lines,
        cast(sum(case when exclusion_reason is null and is_accurate_0 then 1 else 0 end) as bigint) as accurate_0,
        cast(sum(case when exclusion_reason is null and is_accurate_1 then 1 else 0 end) as bigint) as accurate_1,
        cast(sum(case when exclusion_reason is null and is_accurate_3 then 1 else 0 end) as bigint) as accurate_3,
        cast(sum(case when exclusion_reason is null and is_accurate_5 then 1 else 0 end) as bigint) as accurate_5,
        cast(sum(case when exclusion_reason is null then abs(variance_qty) else 0 end) as bigint) as absolute_variance,
        cast(sum(case when exclusion_reason is null then abs(book_qty) else 0 end) as bigint) as absolute_book,
        cast(
            sum(case when exclusion_reason is null then variance_qty * coalesce(unit_cost_minor, 0) else 0 end) as bigint
        ) as net_value_minor
    from kpis.k1a_count_line
    where exclusion_reason is null or exclusion_reason = 'no_book'
    group by
        counted_on,
        coalesce(company_code, 'unknown'),
        coalesce(location_code, 'unknown'),
        coalesce(category_code, 'unknown')
),

placed as (
    select
        periods.period_kind,
        case periods.period_kind
            when 'day' then cube.counted_on
            when 'month' then cast(date_trunc('month', cube.counted_on) as date)
            else date '1970-01-01'
        end as period_start_on,
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then cube.company_code
            when 'location' then cube.location_code
            when 'category' then cube.category_code
            else 'all'
        end as dimension_code,
        cube.rated_lines,
        cube.accurate_0,
        cube.accurate_1,
        cube.accurate_3,
        cube.accurate_5,
        cube.absolute_variance,
        cube.absolute_book,
        cube.net_value_minor
    from cube
    cross join periods
    cross join dimensions
),

rolled as (
    select
        period_kind,
        period_start_on,
        dimension_kind,
        dimension_code,
        cast(sum(rated_lines) as bigint) as rated_lines,
        cast(sum(accurate_0) as bigint) as accurate_0,
        cast(sum(accurate_1) as bigint) as accurate_1,
        cast(sum(accurate_3) as bigint) as accurate_3,
        cast(sum(accurate_5) as bigint) as accurate_5,
        cast(sum(absolute_variance) as bigint) as absolute_variance,
        cast(sum(absolute_book) as bigint) as absolute_book,
        cast(sum(net_value_minor) as bigint) as net_value_minor
    from placed
    where period_start_on is not null
    group by period_kind, period_start_on, dimension_kind, dimension_code
),

active_placed as (
    select
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then coalesce(active.company_code, 'unknown')
            when 'location' then active.location_code
            when 'category' then coalesce(active.category_code, 'unknown')
            else 'all'
        end as dimension_code,
        case when active.is_counted then 1 else 0 end as counted
    from kpis.k1a_active_line as active
    cross join dimensions
),

active_lines as (
    select
        dimension_kind,
        dimension_code,
        cast(sum(counted) as bigint) as counted_lines,
        cast(count(*) as bigint) as active_lines
    from active_placed
    group by dimension_kind, dimension_code
),

covered as (
    select
        rolled.period_kind,
        rolled.period_start_on,
        rolled.dimension_kind,
        rolled.dimension_code,
        rolled.rated_lines,
        rolled.accurate_0,
        rolled.accurate_1,
        rolled.accurate_3,
        rolled.accurate_5,
        rolled.absolute_variance,
        rolled.absolute_book,
        rolled.net_value_minor,
        coalesce(active_lines.counted_lines, 0) as coverage_numerator,
        coalesce(active_lines.active_lines, 0) as coverage_denominator
    from rolled
    left join active_lines
        on
            rolled.dimension_kind = active_lines.dimension_kind
            and rolled.dimension_code = active_lines.dimension_code
),

measured as (
    select
        'ira_0' as measure, period_kind, period_start_on, dimension_kind, dimension_code,
        accurate_0 as numerator, rated_lines as denominator, coverage_numerator, coverage_denominator
    from covered
    union all
    select
        'ira_1', period_kind, period_start_on, dimension_kind, dimension_code,
        accurate_1, rated_lines, coverage_numerator, coverage_denominator
    from covered
    union all
    select
        'ira_3', period_kind, period_start_on, dimension_kind, dimension_code,
        accurate_3, rated_lines, coverage_numerator, coverage_denominator
    from covered
    union all
    select
        'ira_5', period_kind, period_start_on, dimension_kind, dimension_code,
        accurate_5, rated_lines, coverage_numerator, coverage_denominator
    from covered
    union all
    select
        'absolute_unit_variance', period_kind, period_start_on, dimension_kind, dimension_code,
        absolute_variance, absolute_book, coverage_numerator, coverage_denominator
    from covered
    union all
    select
        'net_value_variance', period_kind, period_start_on, dimension_kind, dimension_code,
        net_value_minor, cast(null as bigint), coverage_numerator, coverage_denominator
    from covered
    union all
    select
        'count_coverage', 'all', date '1970-01-01', dimension_kind, dimension_code,
        counted_lines, active_lines, cast(null as bigint), cast(null as bigint)
    from active_lines
    where dimension_kind <> 'category'
)

select
    'k1a' as kpi_code,
    measure,
    period_kind,
    period_start_on,
    dimension_kind,
    dimension_code,
    numerator,
    denominator,
    coverage_numerator,
    coverage_denominator
from measured
