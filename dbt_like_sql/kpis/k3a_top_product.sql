with returned as (
    select
        product_id,
        cast(sum(units) as bigint) as returned_units
    from kpis.k3a_returned_unit
    where product_id is not null
    group by product_id
),

shipped as (
    select
        product_id,
        cast(sum(units) as bigint) as shipped_units
    from kpis.k3a_shipped_part
    group by product_id
),

products as (
    select * from referentials.product
)

select
    returned.product_id,
    products.sku,
    products.name,
    products.category_code,
    returned.returned_units,
    shipped.shipped_units,
    cast(row_number() over (
        order by returned.returned_units desc, shipped.shipped_units, returned.product_id
    ) as bigint) as return_rank
from returned
inner join shipped on returned.product_id = shipped.product_id
inner join products on returned.product_id = products.product_id
