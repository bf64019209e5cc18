with channels as (
    select * from referentials.channel
),

listings as (
    select * from referentials.listing
),

orders as (
    select * from referentials.sales_order
),

order_lines as (
    select * from referentials.sales_order_line
),

products as (
    select * from referentials.product
),

promotions as (
    select * from referentials.promotion
),

segments as (
    select * from kpis.k4_price_segment
),

channel_days as (
    select * from kpis.channel_utc_day
),

location_days as (
    select * from kpis.location_utc_day
),

run_clock as (
    select * from meta.run_clock
),

web_prices as (
    select
        'web' as origin,
        listings.channel_code,
        channels.company_code,
        cast(null as varchar) as location_code,
        channels.price_list_code,
        listings.product_external_id,
        cast(null as varchar) as order_id,
        cast(null as varchar) as line_id,
        listings.product_id,
        listings.sku,
        listings.price_observed_at as observed_at,
        channel_days.local_date as observed_on,
        cast(1 as bigint) as quantity,
        listings.currency_code,
        listings.regular_minor as shown_regular_minor,
        listings.effective_minor as observed_minor,
        coalesce(listings.is_published, true) as is_published,
        listings.promotion_starts_at as shown_promotion_starts_at,
        channels.sync_promise_minutes,
        floor(epoch(run_clock.as_of_at)) - floor(epoch(listings.price_observed_at))
        > channels.stock_stale_after_minutes * 60 as is_stale
    from listings
    inner join channels on listings.channel_code = channels.channel_code
    cross join run_clock
    left join channel_days
        on
            listings.channel_code = channel_days.channel_code
            and cast(floor(epoch(run_clock.as_of_at) / 86400) as bigint) = channel_days.utc_day
            and run_clock.as_of_at >= channel_days.day_start_at
            and run_clock.as_of_at < channel_days.day_end_at
    where channels.kind = 'web' and listings.price_observed_at is not null
),

till_prices as (
    select
        'till' as origin,
        orders.channel_code,
        channels.company_code,
        coalesce(orders.location_code, 'unknown') as location_code,
        channels.price_list_code,
        cast(null as varchar) as product_external_id,
        orders.order_id,
        order_lines.line_id,
        order_lines.product_id,
        order_lines.sku,
        orders.ordered_at as observed_at,
        location_days.local_date as observed_on,
        order_lines.quantity,
        orders.currency_code,
        cast(null as bigint) as shown_regular_minor,
        order_lines.unit_price_minor as observed_minor,
        true as is_published,
        cast(null as timestamptz) as shown_promotion_starts_at,
        cast(null as bigint) as sync_promise_minutes,
        false as is_stale
    from orders
    inner join channels on orders.channel_code = channels.channel_code
    inner join order_lines on orders.order_id = order_lines.order_id
    left join location_days
        on
            orders.location_code = location_days.location_code
            and cast(floor(epoch(orders.ordered_at) / 86400) as bigint) = location_days.utc_day
            and orders.ordered_at >= location_days.day_start_at
            and orders.ordered_at < location_days.day_end_at
    where
        channels.kind = 'stores'
        and order_lines.quantity > 0
        and order_lines.unit_price_minor is not null
),

observed as (
    select * from web_prices
    union all
    select * from till_prices
),

compared as (
    select
        observed.*,
        products.product_id as known_product_id,
        products.category_code,
        segments.currency_code as expected_currency_code,
        segments.regular_minor,
        segments.expected_minor,
        segments.promotion_external_id,
        segments.promotion_starts_at,
        segments.is_ambiguous,
        floor(epoch(observed.observed_at)) - floor(epoch(segments.from_at))
        < observed.sync_promise_minutes * 60 as is_in_flight
    from observed
    left join products on observed.product_id = products.product_id
    -- Outer joins hash only on plain comparisons: an `or` here would compare every row with every other.
    left join segments
        on
            observed.price_list_code = segments.price_list_code
            and observed.product_id = segments.product_id
            and observed.observed_at >= segments.from_at
            and observed.observed_at < coalesce(segments.to_at, timestamptz '9999-01-01 00:00:00+00')
),

judged as (
    select
        compared.*,
        case
            when known_product_id is null then 'orphan'
            when not is_published then 'not_published'
            when observed_minor is null then 'no_observed_price'
            when expected_minor is null then 'no_expected_price'
            when currency_code <> expected_currency_code then 'currency_mismatch'
            when is_ambiguous then 'ambiguous'
            when is_stale then 'stale'
            when is_in_flight and observed_minor <> expected_minor then 'in_flight'
        end as exclusion_reason
    from compared
),

-- Promotions over for at most 30 days whose price is still shown although none runs.
leaks as (
    select
        judged.origin,
        judged.channel_code,
        judged.product_external_id,
        judged.order_id,
        judged.line_id,
        promotions.promotion_external_id,
        row_number() over (
            partition by
                judged.origin, judged.channel_code, judged.product_external_id, judged.order_id, judged.line_id
            order by promotions.ends_at desc, promotions.promotion_external_id
        ) as recency
    from judged
    inner join promotions
        on
            judged.price_list_code = promotions.price_list_code
            and judged.product_id = promotions.product_id
            and judged.expected_currency_code = promotions.currency_code
            and promotions.ends_at <= judged.observed_at
    where
        judged.exclusion_reason is null
        and judged.promotion_external_id is null
        and judged.observed_minor <> judged.expected_minor
        and floor(epoch(judged.observed_at)) - floor(epoch(promotions.ends_at)) <= 30 * 86400
        and judged.observed_minor = case promotions.method
            when 'fixed_price' then promotions.amount_minor
            when 'amount_off' then greatest(0, judged.regular_minor - promotions.amount_minor)
            else cast(floor((2 * judged.regular_minor * (10000 - promotions.percentage_bp) + 10000) / 20000) as bigint)
        end
),

web_leaks as (
    select channel_code, product_external_id, promotion_external_id
    from leaks
    where recency = 1 and origin = 'web'
),

till_leaks as (
    select order_id, line_id, promotion_external_id
    from leaks
    where recency = 1 and origin = 'till'
),

explained as (
    select
        judged.*,
        coalesce(web_leaks.promotion_external_id, till_leaks.promotion_external_id) as leaked_promotion_external_id
    from judged
    left join web_leaks
        on
            judged.origin = 'web'
            and judged.channel_code = web_leaks.channel_code
            and judged.product_external_id = web_leaks.product_external_id
    left join till_leaks
        on
            judged.origin = 'till'
            and judged.order_id = till_leaks.order_id
            and judged.line_id = till_leaks.line_id
)

select
    origin,
    channel_code,
    company_code,
    location_code,
    price_list_code,
    product_external_id,
    order_id,
    line_id,
    known_product_id as product_id,
    sku,
    category_code,
    observed_at,
    observed_on,
    quantity,
    currency_code,
    shown_regular_minor,
    observed_minor,
    regular_minor,
    expected_minor,
    coalesce(promotion_external_id, leaked_promotion_external_id) as promotion_external_id,
    promotion_external_id is not null as is_promotion_expected,
    exclusion_reason,
    case
        when exclusion_reason is not null then null
        when observed_minor = expected_minor then 'ok'
        when
            promotion_external_id is not null and observed_minor = regular_minor
            and shown_promotion_starts_at is not null
            and (promotion_starts_at is null or shown_promotion_starts_at > promotion_starts_at)
            then 'promotion_late'
        when promotion_external_id is not null and observed_minor = regular_minor then 'promotion_missing'
        when leaked_promotion_external_id is not null then 'promotion_leaked'
        when promotion_external_id is not null and observed_minor < regular_minor then 'wrong_depth'
        when observed_minor > expected_minor then 'overcharge'
        else 'undercharge'
    end as verdict,
    case
        when exclusion_reason is not null or observed_minor = expected_minor then null
        when observed_minor > expected_minor then 'over'
        else 'under'
    end as direction
from explained
