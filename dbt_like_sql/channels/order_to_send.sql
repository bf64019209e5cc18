with states as (
    select * from channels.order_state
    where
        channel_kind = 'web'
        and status = 'payable'
        and acknowledged_at is null
        and live_line_qty > 0
        and unknown_line_qty = 0
        and not is_incomplete
),

orders as (
    select * from referentials.sales_order
),

sales_channels as (
    select * from referentials.channel
)

select
    orders.order_id,
    orders.system_code,
    orders.channel_code,
    sales_channels.company_code,
    orders.order_number,
    orders.order_external_id,
    orders.status,
    orders.ordered_at,
    orders.payable_at,
    orders.currency_code,
    orders.total_minor,
    orders.tax_minor,
    orders.shipping_minor,
    orders.fee_minor,
    orders.discount_minor,
    orders.country_code,
    orders.fulfilment_method,
    coalesce(orders.location_code, sales_channels.ships_from_code) as location_code,
    orders.promised_ship_by_at,
    orders.available_from_at,
    orders.is_replacement,
    states.live_line_qty as line_qty
from states
inner join orders on states.order_id = orders.order_id
inner join sales_channels on orders.channel_code = sales_channels.channel_code
