select
    kpi_code,
    measure,
    period_kind,
    period_start_on,
    dimension_kind,
    dimension_code,
    coverage_numerator,
    coverage_denominator
from kpis.kpi_value
where
    coverage_numerator < 0
    or coverage_numerator > coverage_denominator
    or (coverage_numerator is null) <> (coverage_denominator is null)
