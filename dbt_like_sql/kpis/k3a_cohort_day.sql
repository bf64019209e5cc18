with shipped as (
    select
        shipped_on,
        channel_code,
        cast(sum(units) as bigint) as shipped_units,
        cast(sum(net_minor) as bigint) as shipped_net_minor,
        min(case when is_mature then 1 else 0 end) = 1 as is_mature
    from kpis.k3a_shipped_part
    where shipped_on is not null
    group by shipped_on, channel_code
),

returned as (
    select
        shipped_on,
        channel_code,
        cast(sum(units) as bigint) as returned_units,
        cast(sum(net_minor) as bigint) as returned_net_minor
    from kpis.k3a_returned_unit
    where is_within_window
    group by shipped_on, channel_code
)

select
    shipped.shipped_on,
    shipped.channel_code,
    shipped.shipped_units,
    coalesce(returned.returned_units, 0) as returned_units,
    shipped.shipped_net_minor,
    coalesce(returned.returned_net_minor, 0) as returned_net_minor,
    shipped.is_mature
from shipped
left join returned
    on
        shipped.shipped_on = returned.shipped_on
        and shipped.channel_code = returned.channel_code
