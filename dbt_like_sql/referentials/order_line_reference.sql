with
quoted_orders as (
    select * from referentials.sales_order_reference
),

order_lines as (
    select * from referentials.sales_order_line where quantity > 0
)

select
    quoted_orders.channel_code,
    quoted_orders.order_number,
    order_lines.order_id,
    order_lines.line_id,
    order_lines.line_external_id,
    order_lines.product_id,
    order_lines.sku,
    order_lines.quantity - order_lines.cancelled_qty as open_qty,
    row_number() over (
        partition by quoted_orders.channel_code, quoted_orders.order_number
        order by
            case when order_lines.quantity > order_lines.cancelled_qty then 1 else 0 end,
            quoted_orders.reference_place,
            length(order_lines.line_external_id),
            order_lines.line_external_id
    ) as line_place
from quoted_orders
inner join order_lines on quoted_orders.order_id = order_lines.order_id
