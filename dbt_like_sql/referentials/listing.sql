with
channels as (
    select * from retailer.channel
),

stocks as (
    select * from staging.channel_stock
),

prices as (
    select * from staging.channel_price
),

items as (
    select * from staging.product
),

xref as (
    select * from referentials.product_xref
),

observed as (
    select
        system_code,
        channel_code,
        product_external_id
    from stocks
    union
    select
        system_code,
        channel_code,
        product_external_id
    from prices
)

select
    observed.channel_code,
    observed.product_external_id,
    xref.product_id,
    items.sku,
    stocks.published_qty,
    stocks.is_stock_managed,
    coalesce(stocks.is_published, prices.is_published) as is_published,
    stocks.observed_at as stock_observed_at,
    prices.currency_code,
    prices.regular_minor,
    prices.effective_minor,
    prices.tax_rate_bp,
    prices.promotion_starts_at,
    prices.promotion_ends_at,
    prices.promotion_minor,
    prices.observed_at as price_observed_at
from observed
-- A channel speaks for itself: what another system says of it is no listing.
inner join channels
    on observed.channel_code = channels.channel_code and observed.system_code = channels.system_code
left join stocks
    on
        observed.system_code = stocks.system_code
        and observed.channel_code = stocks.channel_code
        and observed.product_external_id = stocks.product_external_id
left join prices
    on
        observed.system_code = prices.system_code
        and observed.channel_code = prices.channel_code
        and observed.product_external_id = prices.product_external_id
left join items
    on observed.system_code = items.system_code and observed.product_external_id = items.product_external_id
left join xref
    on observed.system_code = xref.system_code and observed.product_external_id = xref.product_external_id
where coalesce(items.kind, '') <> 'parent'
