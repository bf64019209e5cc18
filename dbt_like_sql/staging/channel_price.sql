with
seen as (
    select * from canonical.channel_price
),

live as (
    select
        system_code,
        channel_code,
        product_external_id,
        currency_code,
        regular_minor,
        effective_minor,
        tax_rate_bp,
        promotion_starts_at,
        promotion_ends_at,
        promotion_minor,
        is_published,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    channel_code,
    product_external_id,
    currency_code,
    regular_minor,
    effective_minor,
    tax_rate_bp,
    promotion_starts_at,
    promotion_ends_at,
    promotion_minor,
    is_published,
    observed_at
from live
