with
promotions as (
    select * from staging.promotion
),

masters as (
    select * from referentials.price_master where entity = 'promotion'
),

xref as (
    select * from referentials.product_xref
)

select
    promotions.promotion_external_id,
    promotions.price_list_code,
    xref.product_id,
    promotions.method,
    promotions.amount_minor,
    promotions.percentage_bp,
    promotions.currency_code,
    promotions.starts_at,
    promotions.ends_at,
    promotions.priority,
    promotions.is_stackable
from promotions
inner join masters
    on promotions.price_list_code = masters.price_list_code and promotions.system_code = masters.system_code
inner join xref
    on promotions.system_code = xref.system_code and promotions.product_external_id = xref.product_external_id
