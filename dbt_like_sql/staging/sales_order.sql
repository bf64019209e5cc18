with
seen as (
    select * from canonical."order"
),

live as (
    select
        system_code,
        order_external_id,
        channel_code,
        order_number,
        origin_channel_code,
        origin_order_number,
        location_code,
        ordered_at,
        payable_at,
        cancelled_at,
        cancel_reason,
        status,
        currency_code,
        total_minor,
        tax_minor,
        shipping_minor,
        fee_minor,
        discount_minor,
        customer_external_id,
        email_token,
        country_code,
        fulfilment_method,
        fulfilled_by,
        promised_ship_by_at,
        available_from_at,
        replaces_return_id,
        tracking_number,
        updated_at,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    order_external_id,
    channel_code,
    order_number,
    origin_channel_code,
    origin_order_number,
    location_code,
    ordered_at,
    payable_at,
    cancelled_at,
    cancel_reason,
    status,
    currency_code,
    total_minor,
    tax_minor,
    shipping_minor,
    fee_minor,
    discount_minor,
    customer_external_id,
    email_token,
    country_code,
    fulfilment_method,
    fulfilled_by,
    promised_ship_by_at,
    available_from_at,
    replaces_return_id,
    tracking_number,
    updated_at,
    observed_at
from live
