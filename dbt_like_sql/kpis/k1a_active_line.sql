with stock_levels as (
    select * from referentials.stock_level
),

products as (
    select * from referentials.product
),

locations as (
    select * from referentials.location
),

rated as (
    select distinct location_code, product_id
    from kpis.k1a_count_line
    where exclusion_reason is null
)

select
    stock_levels.location_code,
    locations.company_code,
    stock_levels.product_id,
    products.category_code,
    rated.product_id is not null as is_counted
from stock_levels
inner join locations on stock_levels.location_code = locations.location_code
inner join products on stock_levels.product_id = products.product_id
left join rated
    on
        stock_levels.location_code = rated.location_code
        and stock_levels.product_id = rated.product_id
where products.is_stock_tracked and products.kind not in ('service', 'gift_card', 'kit')
