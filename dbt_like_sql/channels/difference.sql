with stock as (
    select * from channels.desired_stock
),

prices as (
    select * from channels.desired_price
),

promotions as (
    select * from channels.desired_promotion
),

publications as (
    select * from channels.desired_publication
),

shipments as (
    select * from channels.desired_shipment
),

differences as (
    select
        channel_code,
        system_code,
        'stock' as subject,
        'channel_stock' as entity,
        product_external_id as external_id,
        'published_qty' as attribute,
        product_id,
        sku,
        before_value,
        after_value,
        state || ': ' || proof as reason,
        units_at_risk,
        value_at_risk_minor,
        currency_code,
        observed_at
    from stock
    where unwritable_reason is null
    union all
    select
        channel_code,
        system_code,
        'price',
        'channel_price',
        product_external_id,
        'regular_minor',
        product_id,
        sku,
        before_value,
        after_value,
        'price list: ' || after_value || ', the channel shows ' || before_value,
        units_at_risk,
        value_at_risk_minor,
        currency_code,
        observed_at
    from prices
    where is_different and unwritable_reason is null
    union all
    select
        channel_code,
        system_code,
        'price',
        'channel_price',
        product_external_id,
        'promotion',
        product_id,
        sku,
        before_value,
        after_value,
        'promotion ' || coalesce(promotion_external_id || ' ', '') || verdict,
        units_at_risk,
        value_at_risk_minor,
        currency_code,
        observed_at
    from promotions
    where unwritable_reason is null
    union all
    select
        channel_code,
        system_code,
        'publication',
        'channel_price',
        product_external_id,
        'is_published',
        product_id,
        sku,
        before_value,
        after_value,
        case when is_desired_published then 'active, with a price in the list' else 'no longer sold' end,
        units_at_risk,
        value_at_risk_minor,
        currency_code,
        observed_at
    from publications
    where unwritable_reason is null
    union all
    select
        channel_code,
        system_code,
        'shipment',
        'order',
        order_external_id,
        'shipment',
        '',
        '',
        before_value,
        after_value,
        'order ' || order_number || ': ' || reason,
        units_at_risk,
        0,
        currency_code,
        observed_at
    from shipments
    where is_different and unwritable_reason is null
)

select
    channel_code,
    system_code,
    subject,
    entity,
    external_id,
    '' as location_code,
    attribute,
    product_id,
    coalesce(sku, '') as sku,
    before_value,
    after_value,
    reason,
    cast(units_at_risk as bigint) as units_at_risk,
    cast(coalesce(value_at_risk_minor, 0) as bigint) as value_at_risk_minor,
    currency_code,
    observed_at
from differences
