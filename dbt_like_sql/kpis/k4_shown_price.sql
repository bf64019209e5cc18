with channels as (
    select * from referentials.channel
),

parity_groups as (
    select * from referentials.parity_group
),

products as (
    select * from referentials.product
),

listings as (
    select * from referentials.listing
),

segments as (
    select * from kpis.k4_price_segment
),

run_clock as (
    select * from meta.run_clock
),

web_shown as (
    select
        channels.channel_code,
        products.product_id,
        listings.currency_code,
        listings.effective_minor as gross_minor,
        coalesce(listings.tax_rate_bp, products.tax_rate_bp, 0) as tax_rate_bp,
        row_number() over (
            partition by channels.channel_code, products.product_id
            order by listings.effective_minor, listings.product_external_id
        ) as cheapness
    from listings
    inner join channels on listings.channel_code = channels.channel_code
    inner join products on listings.product_id = products.product_id
    cross join run_clock
    where
        channels.kind = 'web'
        and listings.effective_minor is not null
        and coalesce(listings.is_published, true)
        and floor(epoch(run_clock.as_of_at)) - floor(epoch(listings.price_observed_at))
        <= channels.stock_stale_after_minutes * 60
),

store_shown as (
    select
        channels.channel_code,
        products.product_id,
        segments.currency_code,
        segments.expected_minor as gross_minor,
        segments.tax_rate_bp
    from channels
    inner join segments on channels.price_list_code = segments.price_list_code
    inner join products on segments.product_id = products.product_id
    cross join run_clock
    where
        channels.kind = 'stores'
        and products.is_active
        and not segments.is_ambiguous
        and segments.from_at <= run_clock.as_of_at
        and (segments.to_at is null or run_clock.as_of_at < segments.to_at)
),

shown as (
    select channel_code, product_id, currency_code, gross_minor, tax_rate_bp
    from web_shown
    where cheapness = 1
    union all
    select channel_code, product_id, currency_code, gross_minor, tax_rate_bp
    from store_shown
)

select
    parity_groups.parity_group_code,
    shown.channel_code,
    shown.product_id,
    channels.tax_territory,
    shown.currency_code,
    shown.gross_minor,
    cast(
        floor((2 * shown.gross_minor * 10000 + 10000 + shown.tax_rate_bp) / (2 * (10000 + shown.tax_rate_bp))) as bigint
    ) as net_minor
from shown
inner join parity_groups on shown.channel_code = parity_groups.channel_code
inner join channels on shown.channel_code = channels.channel_code
