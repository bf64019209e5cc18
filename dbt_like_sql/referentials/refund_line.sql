with
refund_lines as (
    select * from staging.refund_line
),

staged_refunds as (
    select * from staging.refund
),

refunds as (
    select * from referentials.refund
),

order_lines as (
    select * from referentials.sales_order_line
),

xref as (
    select * from referentials.product_xref
),

identified as (
    select
        refund_lines.*,
        'R' || substring(md5(refund_lines.system_code || ':' || refund_lines.refund_external_id), 1, 12) as refund_id,
        'L' || substring(
            md5(
                refund_lines.system_code || ':' || staged_refunds.order_external_id || ':'
                || refund_lines.order_line_external_id
            ),
            1, 12
        ) as quoted_line_id,
        xref.product_id
    from refund_lines
    inner join staged_refunds
        on
            refund_lines.system_code = staged_refunds.system_code
            and refund_lines.refund_external_id = staged_refunds.refund_external_id
    left join xref
        on
            refund_lines.system_code = xref.system_code
            and refund_lines.product_external_id = xref.product_external_id
)

select
    identified.refund_id,
    identified.line_external_id,
    refunds.order_id,
    order_lines.line_id,
    coalesce(order_lines.product_id, identified.product_id) as product_id,
    identified.quantity,
    identified.net_minor,
    identified.tax_minor
from identified
inner join refunds on identified.refund_id = refunds.refund_id
left join order_lines on identified.quoted_line_id = order_lines.line_id
