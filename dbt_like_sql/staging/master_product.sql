with
rules as (
    select * from retailer.master_rule
),

items as (
    select * from staging.product
),

master as (
    select system_code
    from rules
    where entity = 'product' and attribute = 'default' and scope_kind = 'everywhere' and rank = 1
),

sellable as (
    select
        items.*,
        'P' || substring(md5(items.system_code || ':' || items.product_external_id), 1, 12) as product_id,
        case
            when items.parent_external_id is not null
                then 'P' || substring(md5(items.system_code || ':' || items.parent_external_id), 1, 12)
        end as parent_product_key
    from items
    inner join master on items.system_code = master.system_code
    where items.kind <> 'parent'
)

select
    product_id,
    system_code,
    product_external_id,
    parent_product_key,
    sku,
    gtin,
    gtin_status,
    category_code
from sellable
