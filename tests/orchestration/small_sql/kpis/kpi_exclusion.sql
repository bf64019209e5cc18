select
    'k1b' as kpi_code,
    'exact' as measure,
    'all' as dimension_kind,
    'no_sku' as reason,
    count(*) as excluded_qty
from staging.product
where sku is null
