with
acknowledgements as (
    select * from staging.order_acknowledgement
),

quoted_orders as (
    select * from referentials.sales_order_reference where reference_place = 1
),

orders as (
    select * from referentials.sales_order
),

-- The master may quote the shop's number of an order that a marketplace sold.
renamed as (
    select
        coalesce(orders.channel_code, acknowledgements.channel_code) as channel_code,
        coalesce(orders.order_number, acknowledgements.order_number) as order_number,
        acknowledgements.acknowledged_at,
        acknowledgements.is_accepted,
        acknowledgements.refusal_reason,
        acknowledgements.system_code
    from acknowledgements
    left join quoted_orders
        on
            acknowledgements.channel_code = quoted_orders.channel_code
            and acknowledgements.order_number = quoted_orders.order_number
    left join orders on quoted_orders.order_id = orders.order_id
),

placed as (
    select
        renamed.*,
        row_number() over (
            partition by channel_code, order_number
            order by case when is_accepted then 0 else 1 end, acknowledged_at, system_code
        ) as place
    from renamed
)

select
    channel_code,
    order_number,
    acknowledged_at,
    is_accepted,
    refusal_reason
from placed
where place = 1
