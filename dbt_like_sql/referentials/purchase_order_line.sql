with
order_lines as (
    select * from staging.purchase_order_line
),

xref as (
    select * from referentials.product_xref
)

select
    order_lines.purchase_order_number,
    order_lines.line_number,
    order_lines.supplier_code,
    order_lines.location_code,
    xref.product_id,
    order_lines.ordered_qty,
    order_lines.received_qty,
    order_lines.currency_code,
    order_lines.unit_cost_minor,
    order_lines.ordered_at,
    order_lines.expected_at
from order_lines
left join xref
    on
        order_lines.system_code = xref.system_code
        and order_lines.product_external_id = xref.product_external_id
