with live_orders as (
    select * from referentials.sales_order
    where status in ('payable', 'shipped', 'delivered') and cancelled_at is null and payable_at is not null
),

-- A shop that splits an order may number the parts alike: the master knows the first one by that number.
numbered_orders as (
    select
        live_orders.*,
        row_number() over (
            partition by channel_code, order_number, system_code order by ordered_at, order_external_id
        ) as number_place
    from live_orders
),

-- One that was shipped somebody has entered.
orders as (
    select
        numbered_orders.*,
        case when number_place = 1 or status <> 'payable' then order_number end as entered_number
    from numbered_orders
),

order_lines as (
    select * from referentials.sales_order_line
),

sales_channels as (
    select * from referentials.channel
    where kind <> 'stores' and is_order_acknowledged
),

products as (
    select * from referentials.product
),

acknowledgements as (
    select * from referentials.order_acknowledgement
),

summed as (
    select
        order_lines.order_id,
        cast(sum(order_lines.net_minor + order_lines.tax_minor) as bigint) as lines_minor,
        count(*) as line_qty,
        cast(
            sum(case when order_lines.quantity > order_lines.cancelled_qty then 1 else 0 end) as bigint
        ) as live_line_qty,
        cast(sum(
            case when order_lines.quantity > order_lines.cancelled_qty and products.sku is null then 1 else 0 end
        ) as bigint) as unknown_line_qty,
        min(
            case
                when order_lines.quantity > order_lines.cancelled_qty and products.sku is null
                    then coalesce(order_lines.sku, order_lines.name, 'line ' || order_lines.line_external_id)
            end
        ) as unknown_item
    from order_lines
    left join products on order_lines.product_id = products.product_id
    group by order_lines.order_id
)

select
    orders.order_id,
    orders.system_code,
    orders.channel_code,
    sales_channels.kind as channel_kind,
    orders.order_number,
    orders.order_external_id,
    orders.status,
    orders.payable_at,
    orders.currency_code,
    orders.total_minor,
    acknowledgements.acknowledged_at,
    acknowledgements.is_accepted,
    acknowledgements.refusal_reason,
    coalesce(summed.live_line_qty, 0) as live_line_qty,
    coalesce(summed.unknown_line_qty, 0) as unknown_line_qty,
    summed.unknown_item,
    -- A line that was refused on the way in is missing here: one minor unit of rounding per line is no such gap.
    summed.order_id is null
    or abs(
        coalesce(summed.lines_minor, 0) + orders.shipping_minor + orders.fee_minor - orders.discount_minor
        - orders.total_minor
    ) > coalesce(summed.line_qty, 0) as is_incomplete
from orders
inner join sales_channels on orders.channel_code = sales_channels.channel_code
left join acknowledgements
    on
        orders.channel_code = acknowledgements.channel_code
        and orders.entered_number = acknowledgements.order_number
left join summed on orders.order_id = summed.order_id
where orders.fulfilled_by = 'retailer'
