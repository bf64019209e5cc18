with orders as (
    select * from referentials.sales_order
),

order_lines as (
    select * from referentials.sales_order_line
),

line_sums as (
    select
        order_id,
        cast(sum(net_minor + tax_minor) as bigint) as lines_minor,
        count(*) as line_qty
    from order_lines
    group by order_id
),

compared as (
    select
        orders.system_code,
        case
            when
                abs(
                    coalesce(line_sums.lines_minor, 0) + orders.shipping_minor + orders.fee_minor
                    - orders.discount_minor - orders.total_minor
                ) > coalesce(line_sums.line_qty, 0) then 1
            else 0
        end as is_different
    from orders
    left join line_sums on orders.order_id = line_sums.order_id
),

by_system as (
    select
        system_code,
        count(*) as orders_qty,
        cast(sum(is_different) as bigint) as different_qty
    from compared
    group by system_code
)

select
    system_code,
    orders_qty,
    different_qty
from by_system
where different_qty > 3 and different_qty * 100 > orders_qty
