with
masters as (
    select * from staging.master_product
),

catalogue_items as (
    select * from staging.product
),

quoted_items as (
    select * from staging.quoted_item
),

master_systems as (
    select distinct system_code from masters
),

-- What is to be matched: items of the other catalogues, and what systems without one quote, which is the master's SKU.
items as (
    select
        catalogue_items.system_code,
        catalogue_items.product_external_id,
        catalogue_items.sku,
        catalogue_items.gtin
    from catalogue_items
    left join master_systems on catalogue_items.system_code = master_systems.system_code
    where master_systems.system_code is null and catalogue_items.kind <> 'parent'
    union all
    select
        system_code,
        product_external_id,
        product_external_id as sku,
        cast(null as varchar) as gtin
    from quoted_items
),

item_gtins as (
    select
        system_code,
        gtin,
        count(*) as item_qty
    from items
    where gtin is not null
    group by system_code, gtin
),

item_skus as (
    select
        system_code,
        sku,
        count(*) as item_qty
    from items
    where sku is not null
    group by system_code, sku
),

master_gtins as (
    select
        gtin,
        count(*) as product_qty,
        min(product_id) as product_id
    from masters
    where gtin is not null
    group by gtin
),

master_skus as (
    select
        sku,
        count(*) as product_qty,
        min(product_id) as product_id
    from masters
    where sku is not null
    group by sku
),

-- A key counts only where it is unique on both sides.
keyed as (
    select
        items.*,
        case when item_gtins.item_qty = 1 and master_gtins.product_qty = 1 then master_gtins.product_id end
            as gtin_product_id,
        case when item_skus.item_qty = 1 and master_skus.product_qty = 1 then master_skus.product_id end
            as sku_product_id,
        master_gtins.product_qty is not null and (item_gtins.item_qty > 1 or master_gtins.product_qty > 1)
            as is_gtin_duplicate,
        master_skus.product_qty is not null and (item_skus.item_qty > 1 or master_skus.product_qty > 1)
            as is_sku_duplicate,
        master_skus.product_id as sku_first_product_id
    from items
    left join item_gtins on items.system_code = item_gtins.system_code and items.gtin = item_gtins.gtin
    left join item_skus on items.system_code = item_skus.system_code and items.sku = item_skus.sku
    left join master_gtins on items.gtin = master_gtins.gtin
    left join master_skus on items.sku = master_skus.sku
),

-- Products that an item of the system has the SKU of, and no other GTIN: a second item with their GTIN but somebody else's SKU bears a copied GTIN.
products_by_sku as (
    select
        system_code,
        sku_product_id as product_id
    from keyed
    where sku_product_id is not null and (gtin_product_id is null or gtin_product_id = sku_product_id)
),

contested as (
    select
        keyed.*,
        coalesce(
            keyed.gtin_product_id <> keyed.sku_product_id
            or (
                keyed.sku_product_id is null
                and keyed.sku_first_product_id <> keyed.gtin_product_id
                and products_by_sku.product_id is not null
            ),
            false
        ) as is_conflict
    from keyed
    left join products_by_sku
        on keyed.system_code = products_by_sku.system_code and keyed.gtin_product_id = products_by_sku.product_id
),

judged as (
    select
        contested.*,
        case
            when is_conflict then null
            when gtin_product_id = sku_product_id then 'gtin_and_sku'
            when gtin_product_id is not null then 'gtin'
            when sku_product_id is not null then 'sku'
        end as method,
        case
            when is_conflict then 'gtin_sku_conflict'
            when gtin_product_id is not null or sku_product_id is not null then null
            when is_sku_duplicate then 'duplicate_sku'
            when is_gtin_duplicate then 'duplicate_gtin'
            else 'no_match'
        end as reason
    from contested
),

outcomes as (
    select
        system_code,
        product_external_id,
        sku,
        gtin,
        case when method is not null then coalesce(gtin_product_id, sku_product_id) end as product_id,
        method,
        case method when 'gtin_and_sku' then 100 when 'gtin' then 95 when 'sku' then 90 end as confidence,
        reason
    from judged
    union all
    select
        system_code,
        product_external_id,
        sku,
        gtin,
        product_id,
        'master' as method,
        100 as confidence,
        cast(null as varchar) as reason
    from masters
)

select
    system_code,
    product_external_id,
    sku,
    gtin,
    product_id,
    method,
    cast(confidence as integer) as confidence,
    reason
from outcomes
