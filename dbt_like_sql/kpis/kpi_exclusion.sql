with dimensions as (
    select * from (values ('all'), ('channel'), ('location')) as dimension (dimension_kind)
),

left_out as (
    select
        'k1a' as kpi_code,
        'ira_0' as measure,
        cast(null as varchar) as channel_code,
        coalesce(location_code, 'unknown') as location_code,
        exclusion_reason as reason,
        cast(1 as bigint) as quantity
    from kpis.k1a_count_line
    where exclusion_reason is not null
    union all
    select 'k1b', 'exact', channel_code, cast(null as varchar), exclusion_reason, 1
    from kpis.k1b_listing
    where exclusion_reason is not null
    union all
    select 'k2', 'on_time_units', channel_code, coalesce(location_code, 'unknown'), exclusion_reason, units
    from kpis.k2_unit_group
    where exclusion_reason is not null
    union all
    select
        'k3a',
        'period_units',
        coalesce(channel_code, 'unknown'),
        coalesce(receiving_location_code, 'unknown'),
        exclusion_reason,
        excluded_units
    from kpis.k3a_return_line
    where exclusion_reason is not null
    union all
    select 'k3a', 'period_units', coalesce(channel_code, 'unknown'), 'unknown', 'refund_only', 1
    from kpis.k3a_refund_only
    union all
    select 'k3b', 'refund_on_time', channel_code, cast(null as varchar), exclusion_reason, 1
    from kpis.k3b_return
    where exclusion_reason is not null
    union all
    select 'k4', 'conformance', channel_code, location_code, exclusion_reason, 1
    from kpis.k4_observation
    where exclusion_reason is not null
),

cube as (
    select
        kpi_code,
        measure,
        channel_code,
        location_code,
        reason,
        cast(sum(quantity) as bigint) as quantity
    from left_out
    group by kpi_code, measure, channel_code, location_code, reason
),

placed as (
    select
        cube.kpi_code,
        cube.measure,
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'channel' then cube.channel_code
            when 'location' then cube.location_code
            else 'all'
        end as dimension_code,
        cube.reason,
        cube.quantity
    from cube
    cross join dimensions
),

rolled as (
    select
        kpi_code,
        measure,
        dimension_kind,
        dimension_code,
        reason,
        cast(sum(quantity) as bigint) as excluded_qty
    from placed
    where dimension_code is not null
    group by kpi_code, measure, dimension_kind, dimension_code, reason
)

select
    rolled.kpi_code,
    rolled.measure,
    rolled.dimension_kind,
    rolled.dimension_code,
    rolled.reason,
    rolled.excluded_qty,
    known.data_as_of_at
from rolled
left join kpis.kpi_data_as_of as known on rolled.kpi_code = known.kpi_code
