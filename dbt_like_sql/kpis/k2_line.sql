with orders as (
    select * from referentials.sales_order
),

order_lines as (
    select * from referentials.sales_order_line
),

channels as (
    select * from referentials.channel
    where kind in ('web', 'marketplace')
),

products as (
    select * from referentials.product
)

select
    orders.order_id,
    order_lines.line_id,
    orders.channel_code,
    channels.company_code,
    orders.order_number,
    order_lines.sku,
    order_lines.product_id,
    products.category_code,
    products.kind as product_kind,
    order_lines.quantity,
    order_lines.net_minor,
    order_lines.quantity - least(order_lines.cancelled_qty, order_lines.quantity) as wanted_qty,
    least(order_lines.cancelled_qty, order_lines.quantity) as cancelled_qty,
    coalesce(order_lines.cancel_reason, 'customer') as line_cancel_reason,
    order_lines.cancelled_at as line_cancelled_at,
    orders.status as order_status,
    orders.status = 'cancelled' or orders.cancelled_at is not null as is_order_cancelled,
    coalesce(orders.cancel_reason, 'customer') as order_cancel_reason,
    orders.cancelled_at as order_cancelled_at,
    orders.fulfilled_by,
    orders.fulfilment_method = 'pickup' as is_pickup,
    case when orders.fulfilment_method = 'pickup' then orders.location_code end as pickup_location_code,
    channels.ships_from_code,
    orders.ordered_at,
    orders.payable_at,
    case
        when orders.available_from_at > orders.payable_at then orders.available_from_at
        else orders.payable_at
    end as clock_start_at,
    case when orders.available_from_at > orders.payable_at then 'preorder' else 'standard' end as stratum,
    orders.promised_ship_by_at as channel_promised_ship_by_at
from orders
inner join channels on orders.channel_code = channels.channel_code
inner join order_lines on orders.order_id = order_lines.order_id
left join products on order_lines.product_id = products.product_id
where orders.replaces_return_id is null and order_lines.quantity > 0
