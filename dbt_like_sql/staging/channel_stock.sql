with
seen as (
    select * from canonical.channel_stock
),

live as (
    select
        system_code,
        channel_code,
        product_external_id,
        published_qty,
        is_stock_managed,
        is_published,
        is_backorder_allowed,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    channel_code,
    product_external_id,
    published_qty,
    is_stock_managed,
    is_published,
    is_backorder_allowed,
    observed_at
from live
