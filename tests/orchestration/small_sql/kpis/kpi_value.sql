with products as (
    select count(*) as product_qty from referentials.product
)

select
    'k1b' as kpi_code,
    cast(1 as bigint) as kpi_version,
    'exact' as measure,
    periods.period_kind,
    cast(periods.period_start_on as date) as period_start_on,
    'all' as dimension_kind,
    'all' as dimension_code,
    'ratio' as unit,
    cast(products.product_qty as bigint) as numerator,
    cast(4 as bigint) as denominator,
    cast(products.product_qty as double) / 4 as value,
    cast(products.product_qty as bigint) as coverage_numerator,
    cast(4 as bigint) as coverage_denominator,
    cast(null as varchar) as not_measurable_reason,
    run_clock.as_of_at as data_as_of_at
from products
cross join meta.run_clock as run_clock
cross join (
    select 'all' as period_kind, '1970-01-01' as period_start_on
    union all
    select 'day' as period_kind, '2026-05-18' as period_start_on
) as periods
