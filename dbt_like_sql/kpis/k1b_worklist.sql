with listings as (
    select * from kpis.k1b_listing
),

at_risk as (
    select
        channel_code,
        product_external_id,
        product_id,
        sku,
        state,
        kind,
        published_qty,
        expected_qty,
        case
            when state = 'orphan' then shown_qty
            else abs(shown_qty - expected_qty)
        end as units_at_risk,
        unit_value_minor,
        proof
    from listings
    where
        state = 'wrong'
        or (state = 'missing' and expected_qty > 0)
        or (state = 'orphan' and shown_qty > 0)
)

select
    channel_code,
    product_external_id,
    product_id,
    sku,
    state,
    kind,
    published_qty,
    expected_qty,
    units_at_risk,
    units_at_risk * unit_value_minor as value_at_risk_minor,
    proof,
    cast(row_number() over (
        order by
            coalesce(units_at_risk * unit_value_minor, 0) desc, units_at_risk desc,
            channel_code, coalesce(product_external_id, ''), coalesce(product_id, '')
    ) as bigint) as work_rank
from at_risk
