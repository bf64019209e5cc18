with refunds as (
    select * from referentials.refund
),

returned_orders as (
    select distinct order_id
    from referentials.return_line
    where order_id is not null
)

select
    refunds.refund_id,
    refunds.system_code,
    refunds.order_id,
    refunds.channel_code,
    refunds.amount_minor,
    refunds.initiated_at
from refunds
left join returned_orders on refunds.order_id = returned_orders.order_id
where refunds.return_external_id is null and returned_orders.order_id is null
