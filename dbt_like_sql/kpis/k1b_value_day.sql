with today as (
    select * from kpis.kpi_value_current
    where kpi_code = 'k1b' and period_kind = 'day'
),

history as (
    select * from kpis.k1b_history
),

snapshot_days as (
    select distinct snapshot_on
    from kpis.k1b_listing
    where snapshot_on is not null
)

select
    kpi_code, kpi_version, measure, period_kind, period_start_on, dimension_kind, dimension_code, unit, numerator,
    denominator, value, coverage_numerator, coverage_denominator, not_measurable_reason, data_as_of_at
from today
union all
select
    history.kpi_code, history.kpi_version, history.measure, history.period_kind, history.period_start_on,
    history.dimension_kind, history.dimension_code, history.unit, history.numerator, history.denominator, history.value,
    history.coverage_numerator, history.coverage_denominator, history.not_measurable_reason, history.data_as_of_at
from history
left join snapshot_days on history.period_start_on = snapshot_days.snapshot_on
where snapshot_days.snapshot_on is null
