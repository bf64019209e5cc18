with
seen as (
    select * from canonical.refund
),

live as (
    select
        system_code,
        refund_external_id,
        channel_code,
        order_external_id,
        order_number,
        return_external_id,
        currency_code,
        amount_minor,
        shipping_minor,
        initiated_at,
        settled_at,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    refund_external_id,
    channel_code,
    order_external_id,
    order_number,
    return_external_id,
    currency_code,
    amount_minor,
    shipping_minor,
    initiated_at,
    settled_at,
    observed_at
from live
