with
refunds as (
    select * from staging.refund
),

twins as (
    select * from referentials.sales_order_twin
),

quoted_orders as (
    select * from referentials.sales_order_reference where reference_place = 1
),

orders as (
    select * from referentials.sales_order
),

linked as (
    select
        refunds.*,
        coalesce(twins.order_id, quoted_orders.order_id) as order_id
    from refunds
    left join twins
        on refunds.system_code = twins.system_code and refunds.order_external_id = twins.order_external_id
    left join quoted_orders
        on refunds.channel_code = quoted_orders.channel_code and refunds.order_number = quoted_orders.order_number
),

-- A marketplace order imported in a shop may be refunded in both books: the selling channel's own are the refunds.
paid_by_seller as (
    select distinct linked.order_id
    from linked
    inner join orders on linked.order_id = orders.order_id and linked.system_code = orders.system_code
)

select
    'R' || substring(md5(linked.system_code || ':' || linked.refund_external_id), 1, 12) as refund_id,
    linked.system_code,
    linked.order_id,
    coalesce(orders.channel_code, linked.channel_code) as channel_code,
    linked.return_external_id,
    linked.currency_code,
    linked.amount_minor,
    linked.shipping_minor,
    linked.initiated_at,
    linked.settled_at
from linked
left join orders on linked.order_id = orders.order_id
left join paid_by_seller on linked.order_id = paid_by_seller.order_id
where
    paid_by_seller.order_id is null
    or linked.system_code = orders.system_code
    or coalesce(linked.system_code <> orders.shop_system_code, true)
