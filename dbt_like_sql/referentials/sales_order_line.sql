with
order_lines as (
    select * from staging.sales_order_line
),

twins as (
    select * from referentials.sales_order_twin where is_base
),

xref as (
    select * from referentials.product_xref
),

masters as (
    select * from staging.master_product
),

unique_skus as (
    select
        sku,
        min(product_id) as product_id
    from masters
    where sku is not null
    group by sku
    having count(*) = 1
)

select
    twins.order_id,
    'L' || substring(
        md5(order_lines.system_code || ':' || order_lines.order_external_id || ':' || order_lines.line_external_id),
        1, 12
    ) as line_id,
    order_lines.line_external_id,
    -- An item deleted since has no id any more: the SKU written on the line still tells what was sold.
    case
        when order_lines.product_external_id is not null then xref.product_id
        else unique_skus.product_id
    end as product_id,
    order_lines.sku,
    order_lines.name,
    order_lines.quantity,
    order_lines.cancelled_qty,
    order_lines.cancel_reason,
    order_lines.cancelled_at,
    order_lines.net_minor,
    order_lines.tax_minor,
    order_lines.unit_price_minor,
    order_lines.manual_discount_minor,
    order_lines.return_reference
from order_lines
inner join twins
    on
        order_lines.system_code = twins.system_code
        and order_lines.order_external_id = twins.order_external_id
left join xref
    on
        order_lines.system_code = xref.system_code
        and order_lines.product_external_id = xref.product_external_id
left join unique_skus on order_lines.sku = unique_skus.sku
