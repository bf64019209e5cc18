select
    sku as product_id,
    max(name) as name,
    max(weight_g) as weight_g
from staging.product
where sku is not null
group by sku
