with
masters as (
    select * from staging.master_product
),

elected as (
    select * from referentials.product_election where is_elected
),

attributes as (
    select
        product_id,
        max(case when attribute = 'sku' then value end) as sku,
        max(case when attribute = 'gtin' then value end) as gtin,
        max(case when attribute = 'name' then value end) as name,
        max(case when attribute = 'brand' then value end) as brand,
        max(case when attribute = 'category_code' then value end) as category_code,
        max(case when attribute = 'kind' then value end) as kind,
        max(case when attribute = 'is_stock_tracked' then value end) as is_stock_tracked,
        max(case when attribute = 'is_active' then value end) as is_active,
        max(case when attribute = 'tax_rate_bp' then value end) as tax_rate_bp,
        max(case when attribute = 'weight_g' then value end) as weight_g
    from elected
    group by product_id
)

select
    masters.product_id,
    attributes.sku,
    attributes.gtin,
    case when attributes.gtin is not null then 'valid' else masters.gtin_status end as gtin_status,
    attributes.name,
    attributes.brand,
    attributes.category_code,
    attributes.kind,
    cast(attributes.is_stock_tracked as boolean) as is_stock_tracked,
    cast(attributes.is_active as boolean) as is_active,
    cast(attributes.tax_rate_bp as bigint) as tax_rate_bp,
    cast(attributes.weight_g as bigint) as weight_g,
    masters.parent_product_key,
    masters.system_code as master_system_code
from masters
left join attributes on masters.product_id = attributes.product_id
