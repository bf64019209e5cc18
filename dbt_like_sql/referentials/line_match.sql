with
shipments as (
    select * from staging.shipment
),

shipment_lines as (
    select * from staging.shipment_line
),

xref as (
    select * from referentials.product_xref
),

return_documents as (
    select * from referentials.return_document
),

documents as (
    select
        'shipment' as document_kind,
        shipment_lines.shipment_external_id as document_id,
        shipment_lines.line_number,
        shipments.channel_code,
        shipments.order_number,
        shipment_lines.order_line_external_id,
        shipment_lines.sku,
        xref.product_id,
        shipment_lines.quantity,
        shipments.cancelled_at is null as is_counted,
        coalesce(shipments.released_at, shipments.ship_confirmed_at, shipments.ready_for_pickup_at) as document_at
    from shipment_lines
    inner join shipments
        on
            shipment_lines.system_code = shipments.system_code
            and shipment_lines.shipment_external_id = shipments.shipment_external_id
    left join xref
        on shipment_lines.system_code = xref.system_code and shipment_lines.sku = xref.product_external_id
    union all
    -- Returns by document and by till share the units of a line.
    select
        'return' as document_kind,
        source || ':' || return_id as document_id,
        line_number,
        channel_code,
        order_number,
        order_line_external_id,
        sku,
        product_id,
        quantity,
        true as is_counted,
        coalesce(received_at, requested_at) as document_at
    from return_documents
),

order_lines as (
    select * from referentials.order_line_reference
),

-- By the line's own id where the document quotes it and the order has it.
direct as (
    select
        documents.document_kind,
        documents.document_id,
        documents.line_number,
        order_lines.order_id,
        order_lines.line_id,
        documents.quantity,
        documents.is_counted
    from documents
    inner join order_lines
        on
            documents.channel_code = order_lines.channel_code
            and documents.order_number = order_lines.order_number
            and documents.order_line_external_id = order_lines.line_external_id
),

taken as (
    select
        document_kind,
        line_id,
        cast(sum(quantity) as bigint) as quantity
    from direct
    where is_counted
    group by document_kind, line_id
),

-- Most orders are till tickets, which nobody ships: only those that a document names take part.
named_orders as (
    select distinct
        channel_code,
        order_number
    from documents
),

named_lines as (
    select order_lines.*
    from order_lines
    inner join named_orders
        on order_lines.channel_code = named_orders.channel_code and order_lines.order_number = named_orders.order_number
),

-- Every name by which a line may be called: its product, else the SKU written on it.
line_names as (
    select
        named_lines.*,
        'product:' || product_id as item_name
    from named_lines
    where product_id is not null
    union all
    select
        named_lines.*,
        'sku:' || sku as item_name
    from named_lines
    where sku is not null
),

names as (
    select distinct
        channel_code,
        order_number,
        item_name
    from line_names
),

by_item as (
    select
        documents.document_kind,
        documents.document_id,
        documents.line_number,
        documents.channel_code,
        documents.order_number,
        documents.quantity,
        documents.is_counted,
        documents.document_at,
        coalesce(by_product.item_name, by_sku.item_name) as item_name
    from documents
    left join direct
        on
            documents.document_kind = direct.document_kind
            and documents.document_id = direct.document_id
            and documents.line_number = direct.line_number
    left join names as by_product
        on
            documents.channel_code = by_product.channel_code
            and documents.order_number = by_product.order_number
            and 'product:' || documents.product_id = by_product.item_name
    left join names as by_sku
        on
            documents.channel_code = by_sku.channel_code
            and documents.order_number = by_sku.order_number
            and 'sku:' || documents.sku = by_sku.item_name
    where direct.document_id is null
),

asked as (
    select distinct
        document_kind,
        channel_code,
        order_number,
        item_name
    from by_item
    where item_name is not null
),

-- Lines of one item stand in a row, each as long as its open units; the last one takes what is over.
capacities as (
    select
        asked.document_kind,
        line_names.*,
        case
            when line_names.open_qty > coalesce(taken.quantity, 0) then line_names.open_qty - coalesce(taken.quantity, 0)
            else 0
        end as capacity_qty
    from line_names
    inner join asked
        on
            line_names.channel_code = asked.channel_code
            and line_names.order_number = asked.order_number
            and line_names.item_name = asked.item_name
    left join taken on line_names.line_id = taken.line_id and asked.document_kind = taken.document_kind
),

line_spans as (
    select
        capacities.*,
        cast(sum(capacity_qty) over item_lines as bigint) - capacity_qty as starts_qty,
        cast(sum(capacity_qty) over item_lines as bigint) as ends_qty,
        row_number() over item_lines as place,
        count(*) over (partition by document_kind, channel_code, order_number, item_name) as line_qty
    from capacities
    window item_lines as (
        partition by document_kind, channel_code, order_number, item_name
        order by line_place
        rows between unbounded preceding and current row
    )
),

document_spans as (
    select
        by_item.*,
        cast(sum(quantity) over item_documents as bigint) - quantity as starts_qty,
        cast(sum(quantity) over item_documents as bigint) as ends_qty
    from by_item
    where item_name is not null and is_counted
    window item_documents as (
        partition by document_kind, channel_code, order_number, item_name
        order by document_at, document_id, line_number
        rows between unbounded preceding and current row
    )
),

shared as (
    select
        document_spans.document_kind,
        document_spans.document_id,
        document_spans.line_number,
        line_spans.order_id,
        line_spans.line_id,
        case
            when line_spans.place = line_spans.line_qty or document_spans.ends_qty < line_spans.ends_qty
                then document_spans.ends_qty
            else line_spans.ends_qty
        end
        - case
            when document_spans.starts_qty > line_spans.starts_qty then document_spans.starts_qty
            else line_spans.starts_qty
        end as quantity
    from document_spans
    inner join line_spans
        on
            document_spans.document_kind = line_spans.document_kind
            and document_spans.channel_code = line_spans.channel_code
            and document_spans.order_number = line_spans.order_number
            and document_spans.item_name = line_spans.item_name
            and document_spans.ends_qty > line_spans.starts_qty
            and (line_spans.place = line_spans.line_qty or document_spans.starts_qty < line_spans.ends_qty)
),

-- What was given up takes no units away: it only shows which line it was for.
given_up as (
    select
        by_item.document_kind,
        by_item.document_id,
        by_item.line_number,
        line_spans.order_id,
        line_spans.line_id,
        by_item.quantity
    from by_item
    inner join line_spans
        on
            by_item.document_kind = line_spans.document_kind
            and by_item.channel_code = line_spans.channel_code
            and by_item.order_number = line_spans.order_number
            and by_item.item_name = line_spans.item_name
            and line_spans.place = 1
    where not by_item.is_counted
),

matched as (
    select
        document_kind,
        document_id,
        line_number,
        order_id,
        line_id,
        quantity
    from direct
    union all
    select
        document_kind,
        document_id,
        line_number,
        order_id,
        line_id,
        quantity
    from shared
    where quantity > 0
    union all
    select
        document_kind,
        document_id,
        line_number,
        order_id,
        line_id,
        quantity
    from given_up
)

select
    document_kind,
    document_id,
    line_number,
    order_id,
    line_id,
    quantity
from matched
