with channels as (
    select * from referentials.channel
    where kind = 'web'
),

listings as (
    select * from referentials.listing
),

products as (
    select * from referentials.product
),

prices as (
    select * from referentials.price
),

orders as (
    select * from referentials.sales_order
),

order_lines as (
    select * from referentials.sales_order_line
),

expected as (
    select * from kpis.k1b_expected
),

kits_with_components as (
    select distinct kit_components.kit_product_id
    from referentials.kit_component as kit_components
    inner join products on kit_components.component_product_id = products.product_id
    where products.is_stock_tracked and products.kind not in ('service', 'gift_card')
),

channel_days as (
    select * from kpis.channel_utc_day
),

run_clock as (
    select * from meta.run_clock
),

clocked_channels as (
    select
        channels.channel_code,
        channels.company_code,
        channels.price_list_code,
        channels.sync_promise_minutes,
        channels.stock_stale_after_minutes,
        run_clock.as_of_at,
        channel_days.local_date as snapshot_on
    from channels
    cross join run_clock
    left join channel_days
        on
            channels.channel_code = channel_days.channel_code
            and cast(floor(epoch(run_clock.as_of_at) / 86400) as bigint) = channel_days.utc_day
            and run_clock.as_of_at >= channel_days.day_start_at
            and run_clock.as_of_at < channel_days.day_end_at
),

assortment as (
    select
        clocked_channels.channel_code,
        products.product_id,
        min(prices.gross_minor) as regular_minor
    from clocked_channels
    inner join prices
        on
            clocked_channels.price_list_code = prices.price_list_code
            and prices.valid_from_at <= clocked_channels.as_of_at
            and (prices.valid_to_at is null or clocked_channels.as_of_at < prices.valid_to_at)
    inner join products on prices.product_id = products.product_id
    where products.is_active
    group by clocked_channels.channel_code, products.product_id
),

observed as (
    select
        listings.channel_code,
        listings.product_external_id,
        listings.product_id,
        listings.sku,
        listings.published_qty,
        listings.is_stock_managed,
        listings.is_published,
        listings.stock_observed_at,
        listings.effective_minor,
        listings.currency_code,
        true as is_observed
    from listings
    inner join channels on listings.channel_code = channels.channel_code
    where listings.stock_observed_at is not null
),

observed_products as (
    select distinct channel_code, product_id
    from observed
    where product_id is not null
),

unobserved as (
    select
        assortment.channel_code,
        cast(null as varchar) as product_external_id,
        assortment.product_id,
        cast(null as varchar) as sku,
        cast(null as bigint) as published_qty,
        cast(null as boolean) as is_stock_managed,
        cast(null as boolean) as is_published,
        cast(null as timestamptz) as stock_observed_at,
        cast(null as bigint) as effective_minor,
        cast(null as varchar) as currency_code,
        false as is_observed
    from assortment
    left join observed_products
        on
            assortment.channel_code = observed_products.channel_code
            and assortment.product_id = observed_products.product_id
    where observed_products.product_id is null
),

all_listings as (
    select
        channel_code, product_external_id, product_id, sku, published_qty, is_stock_managed, is_published,
        stock_observed_at, effective_minor, currency_code, is_observed
    from observed
    union all
    select
        channel_code, product_external_id, product_id, sku, published_qty, is_stock_managed, is_published,
        stock_observed_at, effective_minor, currency_code, is_observed
    from unobserved
),

sales as (
    select
        orders.channel_code,
        order_lines.product_id,
        cast(sum(order_lines.quantity - order_lines.cancelled_qty) as bigint) as sold_28d_qty
    from orders
    inner join order_lines on orders.order_id = order_lines.order_id
    cross join run_clock
    where
        orders.status not in ('cancelled', 'failed')
        and orders.cancelled_at is null
        and orders.replaces_return_id is null
        and order_lines.quantity > order_lines.cancelled_qty
        and orders.ordered_at <= run_clock.as_of_at
        and floor(epoch(run_clock.as_of_at)) - floor(epoch(orders.ordered_at)) < 28 * 86400
    group by orders.channel_code, order_lines.product_id
),

joined as (
    select
        all_listings.channel_code,
        clocked_channels.company_code,
        clocked_channels.snapshot_on,
        all_listings.product_external_id,
        products.product_id,
        coalesce(all_listings.sku, products.sku) as sku,
        products.category_code,
        products.kind as product_kind,
        coalesce(products.is_stock_tracked, false) as is_stock_tracked,
        coalesce(products.is_active, false) as is_active,
        all_listings.is_observed,
        coalesce(all_listings.is_published, false) as is_published,
        coalesce(all_listings.is_stock_managed, false) and all_listings.published_qty is not null as is_managed,
        all_listings.published_qty,
        all_listings.stock_observed_at,
        coalesce(all_listings.effective_minor, assortment.regular_minor) as unit_value_minor,
        all_listings.currency_code,
        assortment.product_id is not null as is_in_assortment,
        kits_with_components.kit_product_id is not null as has_components,
        coalesce(expected.is_known, false) as is_expected_known,
        expected.expected_qty,
        expected.proof,
        expected.oldest_as_of_at as expected_as_of_at,
        coalesce(sales.sold_28d_qty, 0) as sold_28d_qty,
        floor(epoch(clocked_channels.as_of_at)) - floor(epoch(expected.oldest_as_of_at))
        > clocked_channels.stock_stale_after_minutes * 60
        or floor(epoch(clocked_channels.as_of_at)) - floor(epoch(all_listings.stock_observed_at))
        > clocked_channels.stock_stale_after_minutes * 60 as is_stale,
        coalesce(
            floor(epoch(all_listings.stock_observed_at)) - floor(epoch(expected.last_moved_at))
            < clocked_channels.sync_promise_minutes * 60,
            false
        ) as is_in_flight
    from all_listings
    inner join clocked_channels on all_listings.channel_code = clocked_channels.channel_code
    left join products on all_listings.product_id = products.product_id
    left join assortment
        on
            all_listings.channel_code = assortment.channel_code
            and all_listings.product_id = assortment.product_id
    left join kits_with_components on all_listings.product_id = kits_with_components.kit_product_id
    left join expected
        on
            all_listings.channel_code = expected.channel_code
            and all_listings.product_id = expected.product_id
    left join sales
        on
            all_listings.channel_code = sales.channel_code
            and all_listings.product_id = sales.product_id
),

excluded as (
    select
        joined.*,
        -- What a buyer sees: a shop that sold below zero, or an item it hides, offers nothing.
        case when is_published and published_qty > 0 then published_qty else 0 end as shown_qty,
        case
            when product_id is null then 'orphan'
            when product_kind = 'service' then 'service'
            when product_kind = 'gift_card' then 'gift_card'
            when product_kind <> 'kit' and not is_stock_tracked then 'not_stock_tracked'
            when is_observed and not is_managed then 'not_managed_on_channel'
            when not is_active then 'inactive_product'
            when not is_in_assortment and not is_published then 'not_listed'
            when product_kind = 'kit' and not has_components then 'kit_without_components'
            when not is_expected_known then 'no_stock_record'
        end as first_reason
    from joined
),

judged as (
    select
        excluded.*,
        case
            when first_reason = 'orphan' then 'orphan'
            when first_reason is not null then 'excluded'
            when not is_published then 'missing'
            when shown_qty = expected_qty then 'ok'
            when is_stale then 'stale'
            when is_in_flight then 'in_flight'
            else 'wrong'
        end as state
    from excluded
)

select
    channel_code,
    company_code,
    snapshot_on,
    product_external_id,
    product_id,
    sku,
    category_code,
    state,
    case
        when state = 'wrong' and shown_qty > expected_qty then 'oversell'
        when state = 'wrong' then 'hidden'
    end as kind,
    case
        when first_reason is not null then first_reason
        when state in ('stale', 'in_flight') then state
    end as exclusion_reason,
    published_qty,
    shown_qty,
    expected_qty,
    sold_28d_qty,
    unit_value_minor,
    currency_code,
    stock_observed_at,
    expected_as_of_at,
    proof
from judged
