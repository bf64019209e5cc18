with
seen as (
    select * from canonical.price
),

live as (
    select
        system_code,
        price_list_code,
        product_external_id,
        currency_code,
        amount_minor,
        is_vat_included,
        tax_rate_bp,
        valid_from_at,
        valid_to_at,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    price_list_code,
    product_external_id,
    currency_code,
    amount_minor,
    is_vat_included,
    tax_rate_bp,
    valid_from_at,
    valid_to_at,
    observed_at
from live
