with
documents as (
    select * from referentials.return_document
),

matches as (
    select * from referentials.line_match where document_kind = 'return'
),

quoted_orders as (
    select * from referentials.sales_order_reference where reference_place = 1
),

orders as (
    select * from referentials.sales_order
)

select
    documents.return_id,
    documents.line_number,
    documents.kind,
    orders.order_id,
    matches.line_id,
    coalesce(orders.channel_code, documents.channel_code) as channel_code,
    coalesce(orders.order_number, documents.order_number) as order_number,
    documents.sku,
    documents.product_id,
    coalesce(matches.quantity, documents.quantity) as quantity,
    documents.requested_at,
    documents.proof_of_shipment_at,
    documents.received_at,
    documents.inspected_at,
    documents.restocked_at,
    documents.disposition,
    documents.reason_code,
    documents.resolution,
    documents.receiving_location_code,
    documents.source
from documents
left join matches
    on
        documents.source || ':' || documents.return_id = matches.document_id
        and documents.line_number = matches.line_number
left join quoted_orders
    on
        documents.channel_code = quoted_orders.channel_code
        and documents.order_number = quoted_orders.order_number
left join orders on coalesce(matches.order_id, quoted_orders.order_id) = orders.order_id
