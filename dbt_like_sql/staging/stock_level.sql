with
seen as (
    select * from canonical.stock_level
),

live as (
    select
        system_code,
        location_code,
        product_external_id,
        on_hand_qty,
        committed_qty,
        reserved_qty,
        damaged_qty,
        is_net,
        as_of_at,
        changed_at,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    location_code,
    product_external_id,
    on_hand_qty,
    committed_qty,
    reserved_qty,
    damaged_qty,
    is_net,
    as_of_at,
    changed_at,
    observed_at
from live
