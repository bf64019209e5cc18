with
catalogues as (
    select distinct system_code from staging.product
),

quoted as (
    select system_code, coalesce(product_external_id, sku) as product_external_id from staging.sales_order_line
    union all
    select system_code, product_external_id from staging.refund_line
    union all
    select system_code, sku as product_external_id from staging.shipment_line
    union all
    select system_code, sku as product_external_id from staging.return_line
    union all
    select system_code, product_external_id from staging.stock_count_line
    union all
    select system_code, product_external_id from staging.stock_level
    union all
    select system_code, product_external_id from staging.stock_movement
    union all
    select system_code, product_external_id from staging.channel_stock
    union all
    select system_code, product_external_id from staging.channel_price
),

without_catalogue as (
    select distinct
        quoted.system_code,
        quoted.product_external_id
    from quoted
    left join catalogues on quoted.system_code = catalogues.system_code
    where catalogues.system_code is null and quoted.product_external_id is not null
)

select
    system_code,
    product_external_id
from without_catalogue
