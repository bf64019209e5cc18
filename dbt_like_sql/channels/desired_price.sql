with listings as (
    select * from referentials.listing
    where price_observed_at is not null
),

channels as (
    select * from referentials.channel
    where kind = 'web'
),

products as (
    select * from referentials.product
    where is_active
),

segments as (
    select * from kpis.k4_price_segment
),

sales as (
    select
        channel_code,
        product_external_id,
        sold_28d_qty
    from kpis.k1b_listing
    where product_external_id is not null
),

run_clock as (
    select * from meta.run_clock
),

current_segments as (
    select segments.*
    from segments
    cross join run_clock
    where segments.from_at <= run_clock.as_of_at and (segments.to_at is null or run_clock.as_of_at < segments.to_at)
),

compared as (
    select
        listings.channel_code,
        channels.system_code,
        listings.product_external_id,
        listings.product_id,
        coalesce(listings.sku, products.sku) as sku,
        coalesce(listings.is_published, false) as is_published,
        listings.currency_code,
        listings.regular_minor,
        listings.effective_minor,
        listings.promotion_minor,
        listings.promotion_starts_at,
        listings.promotion_ends_at,
        listings.price_observed_at,
        current_segments.currency_code as desired_currency_code,
        current_segments.regular_minor as desired_regular_minor,
        current_segments.expected_minor as desired_effective_minor,
        current_segments.promotion_external_id,
        coalesce(current_segments.is_ambiguous, false) as is_ambiguous,
        greatest(1, coalesce(sales.sold_28d_qty, 0)) as units_at_risk,
        floor(epoch(run_clock.as_of_at)) - floor(epoch(listings.price_observed_at))
        > channels.stock_stale_after_minutes * 60 as is_stale
    from listings
    inner join channels on listings.channel_code = channels.channel_code
    inner join products on listings.product_id = products.product_id
    cross join run_clock
    left join current_segments
        on
            channels.price_list_code = current_segments.price_list_code
            and listings.product_id = current_segments.product_id
    left join sales
        on
            listings.channel_code = sales.channel_code
            and listings.product_external_id = sales.product_external_id
),

judged as (
    select
        compared.*,
        case
            when desired_regular_minor is null then is_published
            when currency_code <> desired_currency_code then true
            else coalesce(regular_minor <> desired_regular_minor, true)
        end as is_different,
        case
            when desired_regular_minor is null then 'no_expected_price'
            when currency_code <> desired_currency_code then 'currency_mismatch'
            when is_stale then 'stale_observation'
        end as unwritable_reason
    from compared
)

select
    channel_code,
    system_code,
    product_external_id,
    product_id,
    sku,
    is_published,
    regular_minor,
    effective_minor,
    promotion_minor,
    promotion_starts_at,
    promotion_ends_at,
    desired_regular_minor,
    desired_effective_minor,
    promotion_external_id,
    is_ambiguous,
    is_different,
    unwritable_reason,
    coalesce(cast(regular_minor as varchar), 'null') as before_value,
    cast(desired_regular_minor as varchar) as after_value,
    units_at_risk,
    case
        when unwritable_reason is null or unwritable_reason = 'stale_observation'
            then abs(coalesce(regular_minor, 0) - desired_regular_minor) * units_at_risk
    end as value_at_risk_minor,
    currency_code,
    price_observed_at as observed_at
from judged
