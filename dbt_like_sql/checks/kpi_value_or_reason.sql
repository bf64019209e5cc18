select
    kpi_code,
    measure,
    period_kind,
    period_start_on,
    dimension_kind,
    dimension_code,
    value,
    not_measurable_reason
from kpis.kpi_value
where (value is null) = (not_measurable_reason is null)
