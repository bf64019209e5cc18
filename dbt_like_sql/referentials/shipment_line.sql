with
shipment_lines as (
    select * from staging.shipment_line
),

shipments as (
    select * from referentials.shipment
),

matches as (
    select * from referentials.line_match where document_kind = 'shipment'
),

xref as (
    select * from referentials.product_xref
)

select
    shipment_lines.shipment_external_id as shipment_id,
    shipment_lines.line_number,
    coalesce(matches.order_id, shipments.order_id) as order_id,
    matches.line_id,
    shipment_lines.sku,
    xref.product_id,
    coalesce(matches.quantity, shipment_lines.quantity) as quantity
from shipment_lines
inner join shipments on shipment_lines.shipment_external_id = shipments.shipment_id
left join matches
    on
        shipment_lines.shipment_external_id = matches.document_id
        and shipment_lines.line_number = matches.line_number
left join xref
    on shipment_lines.system_code = xref.system_code and shipment_lines.sku = xref.product_external_id
