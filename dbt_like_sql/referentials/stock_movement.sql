with
movements as (
    select * from staging.stock_movement
),

masters as (
    select * from referentials.stock_master
),

xref as (
    select * from referentials.product_xref
)

select
    movements.system_code,
    movements.movement_external_id,
    movements.location_code,
    xref.product_id,
    movements.kind,
    movements.quantity,
    movements.occurred_at
from movements
inner join masters
    on movements.location_code = masters.location_code and movements.system_code = masters.system_code
left join xref
    on movements.system_code = xref.system_code and movements.product_external_id = xref.product_external_id
