with
seen as (
    select * from canonical.promotion
),

live as (
    select
        system_code,
        promotion_external_id,
        product_external_id,
        price_list_code,
        method,
        amount_minor,
        percentage_bp,
        currency_code,
        starts_at,
        ends_at,
        priority,
        is_stackable,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    promotion_external_id,
    product_external_id,
    price_list_code,
    method,
    amount_minor,
    percentage_bp,
    currency_code,
    starts_at,
    ends_at,
    priority,
    is_stackable,
    observed_at
from live
