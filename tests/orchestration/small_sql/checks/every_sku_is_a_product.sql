select staged.sku
from staging.product as staged
where
    staged.sku is not null
    and not exists (
        select 1
        from referentials.product as product
        where product.product_id = staged.sku
    )
