with rated as (
    select 'k1a' as kpi_code, 'ira_0' as measure, cast(count(*) as bigint) as rated
    from kpis.k1a_count_line
    where exclusion_reason is null
    union all
    select 'k1b', 'exact', cast(count(*) as bigint)
    from kpis.k1b_listing
    where exclusion_reason is null
    union all
    select 'k2', 'on_time_units', cast(coalesce(sum(units), 0) as bigint)
    from kpis.k2_unit_group
    where exclusion_reason is null
    union all
    select 'k3a', 'period_units', cast(coalesce(sum(units), 0) as bigint)
    from kpis.k3a_shipped_part
    union all
    select 'k3b', 'refund_on_time', cast(count(*) as bigint)
    from kpis.k3b_return
    where exclusion_reason is null
    union all
    select 'k4', 'conformance', cast(count(*) as bigint)
    from kpis.k4_observation
    where exclusion_reason is null
),

wholes as (
    select kpi_code, measure, denominator
    from kpis.kpi_value
    where period_kind = 'all' and dimension_kind = 'all'
)

select
    rated.kpi_code,
    rated.measure,
    rated.rated,
    wholes.denominator
from rated
left join wholes
    on
        rated.kpi_code = wholes.kpi_code
        and rated.measure = wholes.measure
where rated.rated <> coalesce(wholes.denominator, 0)
