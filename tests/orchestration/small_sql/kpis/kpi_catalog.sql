select
    'k1b' as kpi_code,
    'exact' as measure,
    'Exact stock' as name_en,
    cast(0.99 as double) as target,
    cast(0.95 as double) as alert,
    'high' as better
