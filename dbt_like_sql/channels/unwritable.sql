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

sales_channels as (
    select * from referentials.channel
    where kind = 'web'
),

listings as (
    select * from referentials.listing
),

products as (
    select * from referentials.product
),

segments as (
    select * from kpis.k4_price_segment
),

k1b_listings as (
    select * from kpis.k1b_listing
),

run_clock as (
    select * from meta.run_clock
),

-- What a channel should list and shows no stock of: few, so that all else is asked of them alone.
unseen as (
    select
        channel_code,
        product_id,
        expected_qty
    from k1b_listings
    where product_external_id is null
),

unlisted as (
    select
        unseen.channel_code,
        unseen.product_id,
        unseen.expected_qty,
        sales_channels.price_list_code,
        products.sku
    from unseen
    inner join sales_channels on unseen.channel_code = sales_channels.channel_code
    inner join products on unseen.product_id = products.product_id
    left join listings
        on
            unseen.channel_code = listings.channel_code
            and unseen.product_id = listings.product_id
    where
        products.is_active
        and products.kind not in ('service', 'gift_card')
        and listings.product_id is null
),

found as (
    select
        channel_code,
        'stock' as subject,
        'published_qty' as attribute,
        product_external_id as external_id,
        product_id,
        sku,
        unwritable_reason as reason,
        before_value,
        after_value,
        units_at_risk,
        value_at_risk_minor,
        currency_code,
        observed_at
    from stock
    where unwritable_reason is not null
    union all
    select
        channel_code,
        'price',
        'regular_minor',
        product_external_id,
        product_id,
        sku,
        unwritable_reason,
        before_value,
        after_value,
        units_at_risk,
        value_at_risk_minor,
        currency_code,
        observed_at
    from prices
    where is_different and unwritable_reason is not null
    union all
    select
        channel_code,
        'price',
        'promotion',
        product_external_id,
        product_id,
        sku,
        unwritable_reason,
        before_value,
        case when unwritable_reason = 'stale_observation' then after_value end,
        units_at_risk,
        value_at_risk_minor,
        currency_code,
        observed_at
    from promotions
    where unwritable_reason is not null
    union all
    select
        channel_code,
        'publication',
        'is_published',
        product_external_id,
        product_id,
        sku,
        unwritable_reason,
        before_value,
        after_value,
        units_at_risk,
        value_at_risk_minor,
        currency_code,
        observed_at
    from publications
    where unwritable_reason is not null
    union all
    select
        channel_code,
        'publication',
        'is_published',
        product_external_id,
        cast(null as varchar),
        sku,
        'unknown_product',
        'true',
        cast(null as varchar),
        shown_qty,
        shown_qty * unit_value_minor,
        cast(null as varchar),
        stock_observed_at
    from k1b_listings
    where state = 'orphan' and shown_qty > 0
    union all
    select
        unlisted.channel_code,
        'publication',
        'is_published',
        cast(null as varchar),
        unlisted.product_id,
        unlisted.sku,
        'not_listed',
        cast(null as varchar),
        'true',
        unlisted.expected_qty,
        unlisted.expected_qty * segments.expected_minor,
        segments.currency_code,
        cast(null as timestamptz)
    from unlisted
    inner join segments
        on
            unlisted.price_list_code = segments.price_list_code
            and unlisted.product_id = segments.product_id
    cross join run_clock
    where
        segments.from_at <= run_clock.as_of_at
        and (segments.to_at is null or run_clock.as_of_at < segments.to_at)
    union all
    select
        channel_code,
        'shipment',
        'shipment',
        order_external_id,
        cast(null as varchar),
        order_number,
        unwritable_reason,
        before_value,
        after_value,
        units_at_risk,
        0,
        currency_code,
        observed_at
    from shipments
    where is_different and unwritable_reason is not null
)

select
    channel_code,
    subject,
    attribute,
    external_id,
    product_id,
    sku,
    reason,
    before_value,
    after_value,
    cast(coalesce(units_at_risk, 0) as bigint) as units_at_risk,
    cast(coalesce(value_at_risk_minor, 0) as bigint) as value_at_risk_minor,
    currency_code,
    observed_at,
    cast(row_number() over (
        order by
            coalesce(value_at_risk_minor, 0) desc,
            coalesce(units_at_risk, 0) desc,
            channel_code,
            subject,
            attribute,
            coalesce(external_id, ''),
            coalesce(product_id, '')
    ) as bigint) as work_rank
from found
