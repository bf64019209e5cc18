with
orders as (
    select * from staging.sales_order
),

twins as (
    select * from referentials.sales_order_twin
),

customers as (
    select * from referentials.customer
),

customer_xref as (
    select * from referentials.customer_xref
),

bases as (
    select
        twins.order_id,
        orders.*
    from twins
    inner join orders
        on twins.system_code = orders.system_code and twins.order_external_id = orders.order_external_id
    where twins.is_base
),

shop_twins as (
    select
        order_id,
        system_code,
        order_external_id,
        row_number() over (partition by order_id order by system_code, order_external_id) as place
    from twins
    where not is_base
),

customers_by_email as (
    select
        email_token,
        min(customer_id) as customer_id
    from customers
    where email_token is not null
    group by email_token
)

select
    bases.order_id,
    bases.system_code,
    bases.order_external_id,
    coalesce(bases.origin_channel_code, bases.channel_code) as channel_code,
    case
        when bases.origin_channel_code is not null then coalesce(bases.origin_order_number, bases.order_number)
        else bases.order_number
    end as order_number,
    shop_twins.system_code as shop_system_code,
    shop_twins.order_external_id as shop_order_external_id,
    bases.location_code,
    bases.ordered_at,
    bases.payable_at,
    bases.cancelled_at,
    bases.cancel_reason,
    bases.status,
    bases.currency_code,
    bases.total_minor,
    bases.tax_minor,
    bases.shipping_minor,
    bases.fee_minor,
    bases.discount_minor,
    coalesce(customer_xref.customer_id, customers_by_email.customer_id) as customer_id,
    bases.country_code,
    bases.fulfilment_method,
    bases.fulfilled_by,
    bases.promised_ship_by_at,
    bases.available_from_at,
    bases.replaces_return_id,
    bases.tracking_number,
    bases.replaces_return_id is not null as is_replacement
from bases
left join shop_twins on bases.order_id = shop_twins.order_id and shop_twins.place = 1
left join customer_xref
    on
        bases.system_code = customer_xref.system_code
        and bases.customer_external_id = customer_xref.customer_external_id
left join customers_by_email on bases.email_token = customers_by_email.email_token
