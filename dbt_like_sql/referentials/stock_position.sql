with
levels as (
    select * from referentials.stock_level
),

unacknowledged_lines as (
    select * from referentials.unacknowledged_line
),

products as (
    select * from referentials.product where kind not in ('service', 'gift_card')
),

unacknowledged as (
    select
        unacknowledged_lines.location_code,
        unacknowledged_lines.product_id,
        cast(sum(unacknowledged_lines.quantity) as bigint) as quantity,
        max(unacknowledged_lines.ordered_at) as last_ordered_at
    from unacknowledged_lines
    inner join products on unacknowledged_lines.product_id = products.product_id
    group by unacknowledged_lines.location_code, unacknowledged_lines.product_id
),

-- Orders may wait for an item that the master has no row of at that place: it counts as nothing on hand.
positions as (
    select
        coalesce(levels.location_code, unacknowledged.location_code) as location_code,
        coalesce(levels.product_id, unacknowledged.product_id) as product_id,
        coalesce(levels.on_hand_qty, 0) as on_hand_qty,
        coalesce(levels.committed_qty, 0) as committed_qty,
        coalesce(levels.reserved_qty, 0) as reserved_qty,
        coalesce(levels.damaged_qty, 0) as damaged_qty,
        coalesce(levels.is_net, false) as is_net,
        coalesce(unacknowledged.quantity, 0) as unacknowledged_qty,
        levels.product_id is not null as has_stock_record,
        levels.as_of_at,
        levels.changed_at,
        unacknowledged.last_ordered_at as unacknowledged_last_ordered_at
    from levels
    full outer join unacknowledged
        on levels.location_code = unacknowledged.location_code and levels.product_id = unacknowledged.product_id
),

computed as (
    select
        positions.*,
        on_hand_qty
        - case when is_net then 0 else committed_qty + reserved_qty end
        - damaged_qty
        - unacknowledged_qty as available_qty
    from positions
)

select
    location_code,
    product_id,
    on_hand_qty,
    committed_qty,
    reserved_qty,
    damaged_qty,
    is_net,
    unacknowledged_qty,
    available_qty,
    has_stock_record,
    as_of_at,
    changed_at,
    unacknowledged_last_ordered_at,
    case
        when has_stock_record then 'on hand ' || cast(on_hand_qty as varchar)
        else 'on hand 0 (no stock record)'
    end
    || case
        when is_net then ' (net of committed and reserved)'
        else ' - committed ' || cast(committed_qty as varchar) || ' - reserved ' || cast(reserved_qty as varchar)
    end
    || ' - damaged ' || cast(damaged_qty as varchar)
    || ' - unacknowledged ' || cast(unacknowledged_qty as varchar)
    || ' = available ' || cast(available_qty as varchar) as proof
from computed
