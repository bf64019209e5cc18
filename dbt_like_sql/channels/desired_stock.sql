with listings as (
    select * from kpis.k1b_listing
    where product_external_id is not null
),

channels as (
    select * from referentials.channel
),

expected as (
    select * from kpis.k1b_expected
),

observed as (
    select * from referentials.listing
),

run_clock as (
    select * from meta.run_clock
),

-- Few listings are in another currency than their channel, and few sources are stale: what is joined to every listing stays small.
other_currencies as (
    select
        observed.channel_code,
        observed.product_external_id,
        observed.currency_code
    from observed
    inner join channels on observed.channel_code = channels.channel_code
    where channels.currency_code is null or observed.currency_code <> channels.currency_code
),

stale_sources as (
    select
        expected.channel_code,
        expected.product_id
    from expected
    inner join channels on expected.channel_code = channels.channel_code
    cross join run_clock
    where
        floor(epoch(run_clock.as_of_at)) - floor(epoch(expected.oldest_as_of_at))
        > channels.stock_stale_after_minutes * 60
),

compared as (
    select
        listings.channel_code,
        channels.system_code,
        listings.product_external_id,
        listings.product_id,
        listings.sku,
        listings.state,
        listings.exclusion_reason,
        listings.published_qty,
        listings.expected_qty,
        listings.unit_value_minor,
        coalesce(other_currencies.currency_code, channels.currency_code) as currency_code,
        listings.stock_observed_at,
        listings.proof,
        -- A shop that sold below zero shows nothing: right where nothing is expected.
        greatest(0, listings.published_qty) as sellable_qty,
        floor(epoch(run_clock.as_of_at)) - floor(epoch(listings.stock_observed_at))
        > channels.stock_stale_after_minutes * 60 as is_observation_stale,
        stale_sources.product_id is not null as is_source_stale
    from listings
    inner join channels on listings.channel_code = channels.channel_code
    cross join run_clock
    left join other_currencies
        on
            listings.channel_code = other_currencies.channel_code
            and listings.product_external_id = other_currencies.product_external_id
    left join stale_sources
        on
            listings.channel_code = stale_sources.channel_code
            and listings.product_id = stale_sources.product_id
),

judged as (
    select
        compared.*,
        case
            when state = 'excluded' and exclusion_reason = 'not_managed_on_channel' then expected_qty is not null
            when state = 'excluded' then exclusion_reason in ('no_stock_record', 'kit_without_components')
            when state = 'orphan' then false
            else sellable_qty <> expected_qty
        end as is_different,
        case
            when state = 'excluded' then exclusion_reason
            when is_observation_stale then 'stale_observation'
            when is_source_stale then 'stale_stock'
        end as unwritable_reason
    from compared
)

select
    channel_code,
    system_code,
    product_external_id,
    product_id,
    sku,
    state,
    published_qty,
    expected_qty as desired_qty,
    is_different,
    case when is_different then unwritable_reason end as unwritable_reason,
    coalesce(cast(published_qty as varchar), 'null') as before_value,
    cast(expected_qty as varchar) as after_value,
    abs(coalesce(sellable_qty, 0) - expected_qty) as units_at_risk,
    abs(coalesce(sellable_qty, 0) - expected_qty) * unit_value_minor as value_at_risk_minor,
    currency_code,
    stock_observed_at as observed_at,
    proof
from judged
