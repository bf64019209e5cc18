with listings as (
    select * from kpis.k1b_listing
    where product_external_id is not null
),

channels as (
    select * from referentials.channel
),

run_clock as (
    select * from meta.run_clock
),

-- Most listings are right: one comparison leaves them out before anything else is done to a row.
different as (
    select
        channel_code,
        product_external_id,
        product_id,
        sku,
        state,
        exclusion_reason,
        published_qty,
        expected_qty,
        unit_value_minor,
        currency_code,
        stock_observed_at,
        expected_as_of_at,
        proof
    from listings
    where
        -- One that holds the very number expected is right, and so is one below zero where nothing is expected: it shows nothing.
        published_qty is distinct from expected_qty
        and (coalesce(greatest(0, published_qty) <> expected_qty, true) or state = 'excluded')
        and (
            state not in ('excluded', 'orphan')
            or exclusion_reason in ('no_stock_record', 'kit_without_components')
            or (exclusion_reason = 'not_managed_on_channel' and expected_qty is not null)
        )
),

judged as (
    select
        different.channel_code,
        channels.system_code,
        different.product_external_id,
        different.product_id,
        different.sku,
        different.state,
        different.published_qty,
        different.expected_qty,
        greatest(0, coalesce(different.published_qty, 0)) as sellable_qty,
        different.unit_value_minor,
        coalesce(different.currency_code, channels.currency_code) as currency_code,
        different.stock_observed_at,
        different.proof,
        case
            when different.state = 'excluded' then different.exclusion_reason
            when
                floor(epoch(run_clock.as_of_at)) - floor(epoch(different.stock_observed_at))
                > channels.stock_stale_after_minutes * 60
                then 'stale_observation'
            when
                floor(epoch(run_clock.as_of_at)) - floor(epoch(different.expected_as_of_at))
                > channels.stock_stale_after_minutes * 60
                then 'stale_stock'
        end as unwritable_reason
    from different
    inner join channels on different.channel_code = channels.channel_code
    cross join run_clock
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
    unwritable_reason,
    coalesce(cast(published_qty as varchar), 'null') as before_value,
    cast(expected_qty as varchar) as after_value,
    abs(sellable_qty - expected_qty) as units_at_risk,
    abs(sellable_qty - expected_qty) * unit_value_minor as value_at_risk_minor,
    currency_code,
    stock_observed_at as observed_at,
    proof
from judged
