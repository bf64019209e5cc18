select
    kpi_code, kpi_version, measure, period_kind, period_start_on, dimension_kind, dimension_code, unit, numerator,
    denominator, value, coverage_numerator, coverage_denominator, not_measurable_reason, data_as_of_at
from kpis.kpi_value_current
where not (kpi_code = 'k1b' and period_kind = 'day')
union all
select
    kpi_code, kpi_version, measure, period_kind, period_start_on, dimension_kind, dimension_code, unit, numerator,
    denominator, value, coverage_numerator, coverage_denominator, not_measurable_reason, data_as_of_at
from kpis.k1b_value_day
