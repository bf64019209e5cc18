with populations as (
    select 'k1a' as kpi_code, cast(count(*) as bigint) as population
    from referentials.stock_count_line
    union all
    select 'k1b', cast(count(*) as bigint)
    from kpis.k1b_listing
    union all
    select 'k2', cast(coalesce(sum(wanted_qty + cancelled_qty), 0) as bigint)
    from kpis.k2_line
    union all
    select 'k3a', cast(coalesce(sum(quantity), 0) as bigint)
    from referentials.return_line
    union all
    select 'k3b', cast(count(*) as bigint)
    from kpis.k3b_return
    union all
    select 'k4', cast(count(*) as bigint)
    from kpis.k4_observation
),

rated as (
    select 'k1a' as kpi_code, cast(count(*) as bigint) as rated
    from kpis.k1a_count_line
    where exclusion_reason is null
    union all
    select 'k1b', cast(count(*) as bigint)
    from kpis.k1b_listing
    where exclusion_reason is null
    union all
    select 'k2', cast(coalesce(sum(units), 0) as bigint)
    from kpis.k2_unit_group
    where exclusion_reason is null
    union all
    select 'k3a', cast(coalesce(sum(units), 0) as bigint)
    from kpis.k3a_returned_unit
    union all
    select 'k3b', cast(count(*) as bigint)
    from kpis.k3b_return
    where exclusion_reason is null
    union all
    select 'k4', cast(count(*) as bigint)
    from kpis.k4_observation
    where exclusion_reason is null
),

left_out as (
    select kpi_code, cast(sum(excluded_qty) as bigint) as excluded
    from kpis.kpi_exclusion
    where dimension_kind = 'all' and reason <> 'refund_only'
    group by kpi_code
)

select
    populations.kpi_code,
    populations.population,
    rated.rated,
    coalesce(left_out.excluded, 0) as excluded
from populations
inner join rated on populations.kpi_code = rated.kpi_code
left join left_out on populations.kpi_code = left_out.kpi_code
where populations.population <> rated.rated + coalesce(left_out.excluded, 0)
