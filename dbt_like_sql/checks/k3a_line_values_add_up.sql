with shipped as (
    select
        order_id,
        line_id,
        cast(sum(units) as bigint) as units,
        cast(sum(net_minor) as bigint) as net_minor,
        min(line_quantity) as line_quantity,
        min(line_net_minor) as line_net_minor
    from kpis.k3a_shipped_part
    group by order_id, line_id
)

select
    order_id,
    line_id,
    net_minor,
    line_net_minor
from shipped
where units = line_quantity and net_minor <> line_net_minor
