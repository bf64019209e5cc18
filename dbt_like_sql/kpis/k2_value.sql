with periods as (
    select * from (values ('all'), ('day'), ('month')) as period (period_kind)
),

dimensions as (
    select *
    from (values ('all'), ('company'), ('channel'), ('location'), ('carrier')) as dimension (dimension_kind)
),

cube as (
    select * from kpis.k2_unit_day
),

placed as (
    select
        periods.period_kind,
        case periods.period_kind
            when 'day' then cube.promised_on
            when 'month' then cast(date_trunc('month', cube.promised_on) as date)
            else date '1970-01-01'
        end as period_start_on,
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then cube.company_code
            when 'channel' then cube.channel_code
            when 'location' then cube.location_code
            when 'carrier' then cube.carrier_code
            else 'all'
        end as dimension_code,
        cube.due_units,
        cube.gap_units,
        cube.on_time_units,
        cube.open_units,
        cube.overdue_units
    from cube
    cross join periods
    cross join dimensions
),

rolled as (
    select
        period_kind,
        period_start_on,
        dimension_kind,
        dimension_code,
        cast(sum(due_units) as bigint) as due_units,
        cast(sum(gap_units) as bigint) as gap_units,
        cast(sum(on_time_units) as bigint) as on_time_units,
        cast(sum(open_units) as bigint) as open_units,
        cast(sum(overdue_units) as bigint) as overdue_units
    from placed
    where period_start_on is not null
    group by period_kind, period_start_on, dimension_kind, dimension_code
),

order_cube as (
    select
        scope,
        promised_on,
        company_code,
        channel_code,
        location_code,
        cast(sum(is_on_time_in_full) as bigint) as otif_orders,
        cast(count(*) as bigint) as due_orders
    from kpis.k2_order
    group by scope, promised_on, company_code, channel_code, location_code
),

orders_placed as (
    select
        periods.period_kind,
        case periods.period_kind
            when 'day' then order_cube.promised_on
            when 'month' then cast(date_trunc('month', order_cube.promised_on) as date)
            else date '1970-01-01'
        end as period_start_on,
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then order_cube.company_code
            when 'channel' then order_cube.channel_code
            when 'location' then order_cube.location_code
            else 'all'
        end as dimension_code,
        order_cube.otif_orders,
        order_cube.due_orders
    from order_cube
    inner join dimensions
        on
            (order_cube.scope = 'location' and dimensions.dimension_kind = 'location')
            or (order_cube.scope = 'order' and dimensions.dimension_kind in ('all', 'company', 'channel'))
    cross join periods
),

orders_rolled as (
    select
        period_kind,
        period_start_on,
        dimension_kind,
        dimension_code,
        cast(sum(otif_orders) as bigint) as otif_orders,
        cast(sum(due_orders) as bigint) as due_orders
    from orders_placed
    where period_start_on is not null
    group by period_kind, period_start_on, dimension_kind, dimension_code
),

measured as (
    select
        'on_time_units' as measure, period_kind, period_start_on, dimension_kind, dimension_code,
        on_time_units as numerator, due_units as denominator, due_units as coverage_numerator,
        due_units + gap_units as coverage_denominator
    from rolled
    where due_units + gap_units > 0
    union all
    select
        'otif_orders', period_kind, period_start_on, dimension_kind, dimension_code,
        otif_orders, due_orders, due_orders, due_orders
    from orders_rolled
    union all
    select
        'open_units', period_kind, period_start_on, dimension_kind, dimension_code,
        open_units, cast(null as bigint), cast(null as bigint), cast(null as bigint)
    from rolled
    where period_kind = 'all' and open_units > 0
    union all
    select
        'overdue_units', period_kind, period_start_on, dimension_kind, dimension_code,
        overdue_units, cast(null as bigint), cast(null as bigint), cast(null as bigint)
    from rolled
    where period_kind = 'all' and open_units > 0
)

select
    'k2' as kpi_code,
    measure,
    period_kind,
    period_start_on,
    dimension_kind,
    dimension_code,
    numerator,
    denominator,
    coverage_numerator,
    coverage_denominator
from measured
