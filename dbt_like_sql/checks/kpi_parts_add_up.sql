with wholes as (
    select kpi_code, measure, period_kind, period_start_on, numerator, denominator
    from kpis.kpi_value
    where dimension_kind = 'all'
),

by_channel as (
    select
        kpi_code,
        measure,
        period_kind,
        period_start_on,
        cast(sum(numerator) as bigint) as numerator,
        cast(sum(denominator) as bigint) as denominator
    from kpis.kpi_value
    where dimension_kind = 'channel' and unit in ('ratio', 'units')
    group by kpi_code, measure, period_kind, period_start_on
)

select
    wholes.kpi_code,
    wholes.measure,
    wholes.period_kind,
    wholes.period_start_on,
    wholes.numerator,
    by_channel.numerator as channels_numerator,
    wholes.denominator,
    by_channel.denominator as channels_denominator
from wholes
inner join by_channel
    on
        wholes.kpi_code = by_channel.kpi_code
        and wholes.measure = by_channel.measure
        and wholes.period_kind = by_channel.period_kind
        and wholes.period_start_on = by_channel.period_start_on
where
    wholes.numerator <> by_channel.numerator
    or coalesce(wholes.denominator, 0) <> coalesce(by_channel.denominator, 0)
