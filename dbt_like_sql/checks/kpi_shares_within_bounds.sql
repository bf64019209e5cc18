select
    kpi_code,
    measure,
    period_kind,
    period_start_on,
    dimension_kind,
    dimension_code,
    numerator,
    denominator
from kpis.kpi_value
where
    unit = 'ratio'
    and measure not in ('absolute_unit_variance', 'period_units', 'period_orders', 'period_net_minor')
    and (numerator < 0 or numerator > denominator)
