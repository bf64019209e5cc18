with wrong as (
    select * from kpis.k4_observation
    where exclusion_reason = 'ambiguous' or (exclusion_reason is null and verdict <> 'ok')
),

products as (
    select * from referentials.product
),

valued as (
    select
        origin,
        channel_code,
        location_code,
        product_external_id,
        product_id,
        coalesce(verdict, 'ambiguous') as verdict,
        direction,
        case when exclusion_reason is null then expected_minor end as expected_minor,
        observed_minor,
        promotion_external_id,
        observed_at,
        case when exclusion_reason is null then abs(observed_minor - expected_minor) * quantity end as value_at_risk_minor
    from wrong
),

-- One row per web listing; tills: equal observations of a store and item together.
grouped as (
    select
        origin,
        channel_code,
        location_code,
        product_external_id,
        product_id,
        verdict,
        direction,
        expected_minor,
        observed_minor,
        min(promotion_external_id) as promotion_external_id,
        cast(count(*) as bigint) as observation_qty,
        max(observed_at) as observed_at,
        cast(sum(value_at_risk_minor) as bigint) as value_at_risk_minor
    from valued
    group by
        origin,
        channel_code,
        location_code,
        product_external_id,
        product_id,
        verdict,
        direction,
        expected_minor,
        observed_minor
)

select
    grouped.channel_code,
    grouped.location_code,
    grouped.product_external_id,
    grouped.product_id,
    products.sku,
    grouped.verdict,
    grouped.direction,
    grouped.expected_minor,
    grouped.observed_minor,
    grouped.observed_minor - grouped.expected_minor as difference_minor,
    grouped.promotion_external_id,
    grouped.observation_qty,
    grouped.observed_at,
    grouped.value_at_risk_minor,
    cast(row_number() over (
        order by
            coalesce(grouped.value_at_risk_minor, 0) desc,
            grouped.observation_qty desc,
            grouped.channel_code,
            coalesce(grouped.location_code, ''),
            grouped.product_id,
            coalesce(grouped.product_external_id, ''),
            grouped.verdict,
            grouped.observed_minor,
            coalesce(grouped.expected_minor, 0)
    ) as bigint) as work_rank
from grouped
left join products on grouped.product_id = products.product_id
