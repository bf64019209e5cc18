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

assortment as (
    select
        sales_channels.channel_code,
        products.product_id,
        products.sku,
        segments.expected_minor,
        segments.currency_code
    from sales_channels
    inner join segments on sales_channels.price_list_code = segments.price_list_code
    inner join products on segments.product_id = products.product_id
    cross join run_clock
    where
        products.is_active
        and products.kind not in ('service', 'gift_card')
        and segments.from_at <= run_clock.as_of_at
        and (segments.to_at is null or run_clock.as_of_at < segments.to_at)
),

listed as (
    select distinct
        channel_code,
        product_id
    from listings
    where product_id is not null
),

unlisted_stock as (
    select
        channel_code,
        product_id,
        expected_qty
    from k1b_listings
    where product_external_id is null
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
    where is_different and unwritable_reason is not null
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
    where is_different and unwritable_reason is not null
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
    where is_different and unwritable_reason is not null
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
        assortment.channel_code,
        'publication',
        'is_published',
        cast(null as varchar),
        assortment.product_id,
        assortment.sku,
        'not_listed',
        cast(null as varchar),
        'true',
        unlisted_stock.expected_qty,
        unlisted_stock.expected_qty * assortment.expected_minor,
        assortment.currency_code,
        cast(null as timestamptz)
    from assortment
    left join listed
        on assortment.channel_code = listed.channel_code and assortment.product_id = listed.product_id
    left join unlisted_stock
        on assortment.channel_code = unlisted_stock.channel_code and assortment.product_id = unlisted_stock.product_id
    where listed.product_id is null
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
