with
seen as (
    select * from canonical.refund_line
),

parents as (
    select * from staging.refund
),

-- A line that its refund's latest version does not hold any more is gone: it was last seen before the refund was.
final as (
    select
        seen.system_code,
        seen.refund_external_id,
        seen.line_external_id,
        seen.order_line_external_id,
        seen.product_external_id,
        seen.quantity,
        seen.net_minor,
        seen.tax_minor,
        seen.observed_at
    from seen
    inner join parents
        on seen.system_code = parents.system_code and seen.refund_external_id = parents.refund_external_id
    where not seen._is_deleted and seen.observed_at >= parents.observed_at
)

select
    system_code,
    refund_external_id,
    line_external_id,
    order_line_external_id,
    product_external_id,
    quantity,
    net_minor,
    tax_minor,
    observed_at
from final
