with periods as (
    select * from (values ('all'), ('day'), ('month')) as period (period_kind)
),

dimensions as (
    select * from (values ('all'), ('company'), ('channel')) as dimension (dimension_kind)
),

cube as (
    select
        due_on,
        company_code,
        channel_code,
        cast(sum(case when exclusion_reason is null then 1 else 0 end) as bigint) as due_returns,
        cast(sum(
            case when exclusion_reason in ('no_request_date', 'no_calendar') then 1 else 0 end
        ) as bigint) as gap_returns,
        cast(sum(case when is_on_time then 1 else 0 end) as bigint) as on_time_returns,
        cast(sum(
            case when exclusion_reason is null and refund_initiated_at is null then 1 else 0 end
        ) as bigint) as overdue_returns
    from kpis.k3b_return
    where exclusion_reason is null or exclusion_reason in ('no_request_date', 'no_calendar')
    group by due_on, company_code, channel_code
),

placed as (
    select
        periods.period_kind,
        case periods.period_kind
            when 'day' then cube.due_on
            when 'month' then cast(date_trunc('month', cube.due_on) as date)
            else date '1970-01-01'
        end as period_start_on,
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then cube.company_code
            when 'channel' then cube.channel_code
            else 'all'
        end as dimension_code,
        cube.due_returns,
        cube.gap_returns,
        cube.on_time_returns,
        cube.overdue_returns
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
        cast(sum(due_returns) as bigint) as due_returns,
        cast(sum(gap_returns) as bigint) as gap_returns,
        cast(sum(on_time_returns) as bigint) as on_time_returns,
        cast(sum(overdue_returns) as bigint) as overdue_returns
    from placed
    where period_start_on is not null
    group by period_kind, period_start_on, dimension_kind, dimension_code
),

measured as (
    select
        'refund_on_time' as measure, period_kind, period_start_on, dimension_kind, dimension_code,
        on_time_returns as numerator, due_returns as denominator, due_returns as coverage_numerator,
        due_returns + gap_returns as coverage_denominator
    from rolled
    union all
    select
        'refunds_overdue', period_kind, period_start_on, dimension_kind, dimension_code,
        overdue_returns, cast(null as bigint), cast(null as bigint), cast(null as bigint)
    from rolled
    where period_kind = 'all' and due_returns > 0
)

select
    'k3b' as kpi_code,
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
