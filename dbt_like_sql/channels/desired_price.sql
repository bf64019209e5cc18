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
    select
        segments.price_list_code,
        segments.product_id,
        segments.currency_code,
        segments.regular_minor,
        segments.expected_minor,
        segments.promotion_external_id,
        segments.is_ambiguous
    from segments
    cross join run_clock
    where segments.from_at <= run_clock.as_of_at and (segments.to_at is null or run_clock.as_of_at < segments.to_at)
),

-- Products with a promotion to come.
promoted as (
    select distinct
        segments.price_list_code,
        segments.product_id
    from segments
    cross join run_clock
    where segments.from_at > run_clock.as_of_at and segments.promotion_external_id is not null
),

-- Most listings are right and without a promotion: they are left out before anything else is done to a row.
looked_at as (
    select
        listings.channel_code,
        listings.product_external_id,
        listings.product_id,
        listings.sku,
        listings.is_published,
        listings.currency_code,
        listings.regular_minor,
        listings.effective_minor,
        listings.promotion_minor,
        listings.promotion_starts_at,
        listings.promotion_ends_at,
        listings.price_observed_at,
        channels.system_code,
        channels.stock_stale_after_minutes,
        current_segments.currency_code as desired_currency_code,
        current_segments.regular_minor as desired_regular_minor,
        current_segments.expected_minor as desired_effective_minor,
        current_segments.promotion_external_id,
        current_segments.is_ambiguous
    from listings
    inner join channels on listings.channel_code = channels.channel_code
    left join current_segments
        on
            channels.price_list_code = current_segments.price_list_code
            and listings.product_id = current_segments.product_id
    left join promoted
        on
            channels.price_list_code = promoted.price_list_code
            and listings.product_id = promoted.product_id
    where
        case
            when current_segments.regular_minor is null then coalesce(listings.is_published, false)
            else
                coalesce(
                    listings.currency_code <> current_segments.currency_code
                    or listings.regular_minor <> current_segments.regular_minor,
                    true
                )
                or listings.promotion_minor is not null
                or current_segments.promotion_external_id is not null
                or promoted.product_id is not null
        end
),

judged as (
    select
        looked_at.channel_code,
        looked_at.system_code,
        looked_at.product_external_id,
        looked_at.product_id,
        coalesce(looked_at.sku, products.sku) as sku,
        coalesce(looked_at.is_published, false) as is_published,
        looked_at.currency_code,
        looked_at.regular_minor,
        looked_at.effective_minor,
        looked_at.promotion_minor,
        looked_at.promotion_starts_at,
        looked_at.promotion_ends_at,
        looked_at.price_observed_at,
        looked_at.desired_regular_minor,
        looked_at.desired_effective_minor,
        looked_at.promotion_external_id,
        coalesce(looked_at.is_ambiguous, false) as is_ambiguous,
        greatest(1, coalesce(sales.sold_28d_qty, 0)) as units_at_risk,
        case
            when looked_at.desired_regular_minor is null then true
            when looked_at.currency_code <> looked_at.desired_currency_code then true
            else coalesce(looked_at.regular_minor <> looked_at.desired_regular_minor, true)
        end as is_different,
        case
            when looked_at.desired_regular_minor is null then 'no_expected_price'
            when looked_at.currency_code <> looked_at.desired_currency_code then 'currency_mismatch'
            when
                floor(epoch(run_clock.as_of_at)) - floor(epoch(looked_at.price_observed_at))
                > looked_at.stock_stale_after_minutes * 60
                then 'stale_observation'
        end as unwritable_reason
    from looked_at
    inner join products on looked_at.product_id = products.product_id
    cross join run_clock
    left join sales
        on
            looked_at.channel_code = sales.channel_code
            and looked_at.product_external_id = sales.product_external_id
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
