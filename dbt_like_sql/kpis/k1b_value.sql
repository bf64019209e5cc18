with rolled as (
    select * from kpis.k1b_rolled
),

channels as (
    select * from referentials.channel
    where kind in ('web', 'marketplace')
),

orders as (
    select * from referentials.sales_order
),

order_lines as (
    select * from referentials.sales_order_line
),

dimensions as (
    select * from (values ('all'), ('company'), ('channel')) as dimension (dimension_kind)
),

lines_by_channel as (
    select
        channels.channel_code,
        channels.company_code,
        cast(count(*) as bigint) as lines,
        cast(sum(
            case
                when order_lines.cancel_reason = 'stock' and order_lines.cancelled_qty > 0 then 1
                when (orders.status = 'cancelled' or orders.cancelled_at is not null) and orders.cancel_reason = 'stock' then 1
                else 0
            end
        ) as bigint) as stock_cancel_lines
    from orders
    inner join channels on orders.channel_code = channels.channel_code
    inner join order_lines on orders.order_id = order_lines.order_id
    group by channels.channel_code, channels.company_code
),

stock_cancels as (
    select
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then lines_by_channel.company_code
            when 'channel' then lines_by_channel.channel_code
            else 'all'
        end as dimension_code,
        cast(sum(lines_by_channel.stock_cancel_lines) as bigint) as stock_cancel_lines,
        cast(sum(lines_by_channel.lines) as bigint) as lines
    from lines_by_channel
    cross join dimensions
    group by
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then lines_by_channel.company_code
            when 'channel' then lines_by_channel.channel_code
            else 'all'
        end
),

measured as (
    select
        'exact' as measure, period_kind, period_start_on, dimension_kind, dimension_code,
        exact as numerator, rated as denominator, rated as coverage_numerator, rated_and_gaps as coverage_denominator
    from rolled
    union all
    select
        'sellability', period_kind, period_start_on, dimension_kind, dimension_code,
        sellable_alike, rated, rated, rated_and_gaps
    from rolled
    union all
    select
        'exact_weighted_28d', period_kind, period_start_on, dimension_kind, dimension_code,
        exact_weight, rated_weight, rated, rated_and_gaps
    from rolled
    union all
    select
        'oversell_units', period_kind, period_start_on, dimension_kind, dimension_code,
        oversell_units, cast(null as bigint), rated, rated_and_gaps
    from rolled
    union all
    select
        'hidden_units', period_kind, period_start_on, dimension_kind, dimension_code,
        hidden_units, cast(null as bigint), rated, rated_and_gaps
    from rolled
    union all
    select
        'stock_cancel_lines', 'all', date '1970-01-01', dimension_kind, dimension_code,
        stock_cancel_lines, lines, lines, lines
    from stock_cancels
)

select
    'k1b' as kpi_code,
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
