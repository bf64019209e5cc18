with
returns as (
    select * from staging.return_line
),

ticket_lines as (
    select * from staging.sales_order_line
),

tickets as (
    select * from staging.sales_order
),

xref as (
    select * from referentials.product_xref
),

quoted_orders as (
    select * from referentials.sales_order_reference
),

orders as (
    select * from referentials.sales_order
),

order_lines as (
    select * from referentials.order_line_reference
),

-- Two tables joined by equality alone, where one joined by either of two columns would compare every row with every other.
product_holders as (
    select distinct
        channel_code,
        order_number,
        product_id
    from order_lines
),

sku_holders as (
    select distinct
        channel_code,
        order_number,
        sku
    from order_lines
),

-- Goods brought back to a till are a negative line of its ticket: requested, received and paid back at once.
numbered_ticket_lines as (
    select
        ticket_lines.*,
        row_number() over (
            partition by system_code, order_external_id order by length(line_external_id), line_external_id
        ) as line_number
    from ticket_lines
),

all_returns as (
    select
        returns.return_external_id as document_id,
        returns.line_number,
        returns.system_code,
        returns.kind,
        returns.channel_code,
        returns.order_number,
        returns.order_line_external_id,
        returns.sku,
        returns.quantity,
        returns.requested_at,
        returns.proof_of_shipment_at,
        returns.received_at,
        returns.inspected_at,
        returns.restocked_at,
        returns.disposition,
        returns.reason_code,
        returns.resolution,
        returns.receiving_location_code,
        'return' as source
    from returns
    union all
    select
        tickets.order_external_id as document_id,
        numbered_ticket_lines.line_number,
        tickets.system_code,
        'customer_return' as kind,
        cast(null as varchar) as channel_code,
        numbered_ticket_lines.return_reference as order_number,
        cast(null as varchar) as order_line_external_id,
        coalesce(numbered_ticket_lines.sku, numbered_ticket_lines.product_external_id) as sku,
        -numbered_ticket_lines.quantity as quantity,
        tickets.ordered_at as requested_at,
        cast(null as timestamptz) as proof_of_shipment_at,
        tickets.ordered_at as received_at,
        cast(null as timestamptz) as inspected_at,
        cast(null as timestamptz) as restocked_at,
        cast(null as varchar) as disposition,
        cast(null as varchar) as reason_code,
        'refund' as resolution,
        tickets.location_code as receiving_location_code,
        'ticket' as source
    from numbered_ticket_lines
    inner join tickets
        on
            numbered_ticket_lines.system_code = tickets.system_code
            and numbered_ticket_lines.order_external_id = tickets.order_external_id
    where numbered_ticket_lines.quantity < 0
),

identified as (
    select
        all_returns.*,
        xref.product_id
    from all_returns
    left join xref
        on all_returns.system_code = xref.system_code and all_returns.sku = xref.product_external_id
),

-- Who quotes a number without its channel means an order that holds the item; the latest before the return, if several.
guesses as (
    select
        identified.document_id,
        identified.line_number,
        identified.source,
        quoted_orders.channel_code,
        row_number() over (
            partition by identified.source, identified.document_id, identified.line_number
            order by
                case
                    when product_holders.product_id is not null then 0
                    when sku_holders.sku is not null then 1
                    else 2
                end,
                case when orders.ordered_at <= identified.received_at then 0 else 1 end,
                orders.ordered_at desc,
                quoted_orders.channel_code
        ) as place
    from identified
    inner join quoted_orders on identified.order_number = quoted_orders.order_number
    inner join orders on quoted_orders.order_id = orders.order_id
    left join product_holders
        on
            quoted_orders.channel_code = product_holders.channel_code
            and quoted_orders.order_number = product_holders.order_number
            and identified.product_id = product_holders.product_id
    left join sku_holders
        on
            quoted_orders.channel_code = sku_holders.channel_code
            and quoted_orders.order_number = sku_holders.order_number
            and identified.sku = sku_holders.sku
    where identified.channel_code is null
),

documents as (
    select
        identified.document_id as return_id,
        identified.line_number,
        identified.source,
        identified.kind,
        coalesce(identified.channel_code, guesses.channel_code) as channel_code,
        identified.order_number,
        identified.order_line_external_id,
        identified.sku,
        identified.product_id,
        identified.quantity,
        identified.requested_at,
        identified.proof_of_shipment_at,
        identified.received_at,
        identified.inspected_at,
        identified.restocked_at,
        identified.disposition,
        identified.reason_code,
        identified.resolution,
        identified.receiving_location_code
    from identified
    left join guesses
        on
            identified.source = guesses.source
            and identified.document_id = guesses.document_id
            and identified.line_number = guesses.line_number
            and guesses.place = 1
)

select
    return_id,
    line_number,
    source,
    kind,
    channel_code,
    order_number,
    order_line_external_id,
    sku,
    product_id,
    quantity,
    requested_at,
    proof_of_shipment_at,
    received_at,
    inspected_at,
    restocked_at,
    disposition,
    reason_code,
    resolution,
    receiving_location_code
from documents
