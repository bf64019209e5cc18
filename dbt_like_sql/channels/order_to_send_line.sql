with orders as (
    select * from channels.order_to_send
),

order_lines as (
    select * from referentials.sales_order_line
    where quantity > cancelled_qty
),

products as (
    select * from referentials.product
),

wanted as (
    select
        order_lines.*,
        order_lines.quantity - order_lines.cancelled_qty as wanted_qty
    from order_lines
)

select
    wanted.order_id,
    wanted.line_id,
    wanted.line_external_id,
    cast(row_number() over (partition by wanted.order_id order by wanted.line_external_id, wanted.line_id) as bigint)
        as line_number,
    products.sku,
    wanted.product_id,
    coalesce(wanted.name, products.name) as name,
    wanted.wanted_qty as quantity,
    wanted.quantity as ordered_qty,
    wanted.unit_price_minor,
    -- Of the units that are still wanted, rounded half up.
    cast(floor((2 * wanted.net_minor * wanted.wanted_qty + wanted.quantity) / (2 * wanted.quantity)) as bigint)
        as net_minor,
    cast(floor((2 * wanted.tax_minor * wanted.wanted_qty + wanted.quantity) / (2 * wanted.quantity)) as bigint)
        as tax_minor
from wanted
inner join orders on wanted.order_id = orders.order_id
inner join products on wanted.product_id = products.product_id
