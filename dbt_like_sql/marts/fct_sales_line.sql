with orders as (
    select * from referentials.sales_order
),

order_lines as (
    select * from referentials.sales_order_line
),

channel_days as (
    select * from kpis.channel_utc_day
)

select
    order_lines.order_id,
    order_lines.line_id,
    channel_days.local_date as ordered_date_key,
    orders.channel_code,
    orders.location_code,
    order_lines.product_id,
    orders.customer_id,
    orders.order_number,
    orders.status as order_status,
    orders.fulfilment_method,
    orders.is_replacement,
    orders.ordered_at,
    orders.currency_code,
    order_lines.quantity,
    order_lines.cancelled_qty,
    order_lines.net_minor,
    order_lines.tax_minor,
    order_lines.net_minor + order_lines.tax_minor as gross_minor
from order_lines
inner join orders on order_lines.order_id = orders.order_id
left join channel_days
    on
        orders.channel_code = channel_days.channel_code
        and cast(floor(epoch(orders.ordered_at) / 86400) as bigint) = channel_days.utc_day
        and orders.ordered_at >= channel_days.day_start_at
        and orders.ordered_at < channel_days.day_end_at
