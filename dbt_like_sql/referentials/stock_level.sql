with
levels as (
    select * from staging.stock_level
),

masters as (
    select * from referentials.stock_master
),

xref as (
    select * from referentials.product_xref
)

select
    levels.location_code,
    xref.product_id,
    levels.on_hand_qty,
    levels.committed_qty,
    levels.reserved_qty,
    levels.damaged_qty,
    levels.is_net,
    levels.as_of_at,
    levels.changed_at,
    levels.system_code,
    levels.observed_at
from levels
inner join masters on levels.location_code = masters.location_code and levels.system_code = masters.system_code
inner join xref
    on levels.system_code = xref.system_code and levels.product_external_id = xref.product_external_id
