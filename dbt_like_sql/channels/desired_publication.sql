with listings as (
    select * from referentials.listing
    where is_published is not null
),

sales_channels as (
    select * from referentials.channel
    where kind = 'web'
),

systems as (
    select * from retailer.system
),

items as (
    select * from staging.product
),

shown_prices as (
    select * from staging.channel_price
),

products as (
    select * from referentials.product
),

prices as (
    select * from referentials.price
),

stocks as (
    select * from kpis.k1b_listing
    where product_external_id is not null
),

run_clock as (
    select * from meta.run_clock
),

assortment as (
    select distinct
        prices.price_list_code,
        prices.product_id
    from prices
    cross join run_clock
    where
        prices.valid_from_at <= run_clock.as_of_at
        and (prices.valid_to_at is null or run_clock.as_of_at < prices.valid_to_at)
),

-- An item differs only where one of its listings must go, or is hidden and may be shown: the others are left out before anything else.
doubtful as (
    select
        listings.channel_code,
        sales_channels.system_code,
        listings.product_external_id
    from listings
    inner join sales_channels on listings.channel_code = sales_channels.channel_code
    inner join products on listings.product_id = products.product_id
    left join assortment
        on
            sales_channels.price_list_code = assortment.price_list_code
            and listings.product_id = assortment.product_id
    where
        coalesce(products.kind, '') not in ('service', 'gift_card')
        and (not products.is_active or (not listings.is_published and assortment.product_id is not null))
),

heads as (
    select channel_code, system_code, product_external_id from doubtful
    union
    select
        doubtful.channel_code,
        doubtful.system_code,
        items.parent_external_id
    from doubtful
    inner join items
        on
            doubtful.system_code = items.system_code
            and doubtful.product_external_id = items.product_external_id
    where items.parent_external_id is not null
),

-- With all that is published together with them.
families as (
    select channel_code, product_external_id from heads
    union
    select
        heads.channel_code,
        items.product_external_id
    from heads
    inner join items on heads.system_code = items.system_code and heads.product_external_id = items.parent_external_id
),

judged as (
    select
        listings.channel_code,
        sales_channels.system_code,
        listings.product_external_id,
        -- A shop that publishes whole products only, or hides one whole, is told so at the product.
        case
            when
                items.parent_external_id is not null
                and (systems.kind = 'prestashop' or not coalesce(parents.is_published, true))
                then items.parent_external_id
            else listings.product_external_id
        end as item_external_id,
        listings.product_id,
        coalesce(listings.sku, products.sku) as sku,
        listings.is_published,
        case
            when products.product_id is null or products.kind in ('service', 'gift_card') then 'undecided'
            when not products.is_active then 'hide'
            when assortment.product_id is null then 'undecided'
            when stocks.exclusion_reason in ('no_stock_record', 'kit_without_components') and not listings.is_published
                then 'unknown_stock'
            else 'show'
        end as decision,
        greatest(0, coalesce(stocks.published_qty, 0)) as published_qty,
        coalesce(stocks.expected_qty, 0) as expected_qty,
        coalesce(stocks.unit_value_minor, listings.effective_minor, 0) as unit_value_minor,
        coalesce(listings.currency_code, sales_channels.currency_code) as currency_code,
        coalesce(listings.stock_observed_at, listings.price_observed_at) as observed_at,
        floor(epoch(run_clock.as_of_at))
        - floor(epoch(coalesce(listings.stock_observed_at, listings.price_observed_at)))
        > sales_channels.stock_stale_after_minutes * 60 as is_stale
    from listings
    inner join families
        on
            listings.channel_code = families.channel_code
            and listings.product_external_id = families.product_external_id
    inner join sales_channels on listings.channel_code = sales_channels.channel_code
    inner join systems on sales_channels.system_code = systems.system_code
    cross join run_clock
    left join items
        on
            sales_channels.system_code = items.system_code
            and listings.product_external_id = items.product_external_id
    left join shown_prices as parents
        on
            items.system_code = parents.system_code
            and items.parent_external_id = parents.product_external_id
            and listings.channel_code = parents.channel_code
    left join products on listings.product_id = products.product_id
    left join assortment
        on
            sales_channels.price_list_code = assortment.price_list_code
            and listings.product_id = assortment.product_id
    left join stocks
        on
            listings.channel_code = stocks.channel_code
            and listings.product_external_id = stocks.product_external_id
),

grouped as (
    select
        channel_code,
        system_code,
        item_external_id,
        count(*) as listing_qty,
        min(product_id) as product_id,
        min(sku) as sku,
        max(case when is_published then 1 else 0 end) = 1 as is_published,
        cast(sum(case when decision = 'show' then 1 else 0 end) as bigint) as show_qty,
        cast(sum(case when decision = 'hide' then 1 else 0 end) as bigint) as hide_qty,
        cast(sum(case when decision = 'unknown_stock' then 1 else 0 end) as bigint) as unknown_stock_qty,
        cast(sum(case when decision = 'undecided' then 1 else 0 end) as bigint) as undecided_qty,
        cast(sum(published_qty) as bigint) as published_qty,
        cast(sum(case when decision = 'show' then expected_qty else 0 end) as bigint) as expected_qty,
        cast(sum(published_qty * unit_value_minor) as bigint) as published_minor,
        cast(sum(case when decision = 'show' then expected_qty * unit_value_minor else 0 end) as bigint) as expected_minor,
        min(currency_code) as currency_code,
        min(observed_at) as observed_at,
        max(case when is_stale then 1 else 0 end) = 1 as is_stale
    from judged
    group by channel_code, system_code, item_external_id
),

wanted as (
    select
        grouped.*,
        case
            when show_qty > 0 then true
            when hide_qty > 0 or unknown_stock_qty > 0 then unknown_stock_qty > 0
        end as is_wanted
    from grouped
),

compared as (
    select
        channel_code,
        system_code,
        item_external_id as product_external_id,
        case when listing_qty = 1 then product_id else '' end as product_id,
        case when listing_qty = 1 then sku else '' end as sku,
        is_published,
        is_wanted,
        case
            when not is_wanted and undecided_qty > 0 then 'undecided_variant'
            when is_wanted and show_qty = 0 then 'unknown_stock'
            when is_stale then 'stale_observation'
        end as unwritable_reason,
        case when is_wanted then expected_qty else published_qty end as units_at_risk,
        case when is_wanted then expected_minor else published_minor end as value_at_risk_minor,
        currency_code,
        observed_at
    from wanted
    where is_wanted <> is_published
),

-- A variant that must go while another of its product stays: the shop can only hide both.
held_back as (
    select
        judged.channel_code,
        judged.system_code,
        judged.product_external_id,
        judged.product_id,
        judged.sku,
        judged.is_published,
        false as is_wanted,
        'variant_of_published_product' as unwritable_reason,
        judged.published_qty as units_at_risk,
        judged.published_qty * judged.unit_value_minor as value_at_risk_minor,
        judged.currency_code,
        judged.observed_at
    from judged
    inner join grouped
        on
            judged.channel_code = grouped.channel_code
            and judged.item_external_id = grouped.item_external_id
    where
        judged.decision = 'hide'
        and judged.is_published
        and judged.item_external_id <> judged.product_external_id
        and grouped.show_qty > 0
),

together as (
    select
        channel_code, system_code, product_external_id, product_id, sku, is_published, is_wanted,
        unwritable_reason, units_at_risk, value_at_risk_minor, currency_code, observed_at
    from compared
    union all
    select
        channel_code, system_code, product_external_id, product_id, sku, is_published, is_wanted,
        unwritable_reason, units_at_risk, value_at_risk_minor, currency_code, observed_at
    from held_back
)

select
    channel_code,
    system_code,
    product_external_id,
    product_id,
    sku,
    is_published,
    is_wanted as is_desired_published,
    unwritable_reason,
    case when is_published then 'true' else 'false' end as before_value,
    case when is_wanted then 'true' when not is_wanted then 'false' end as after_value,
    units_at_risk,
    value_at_risk_minor,
    currency_code,
    observed_at
from together
