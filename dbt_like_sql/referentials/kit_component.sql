with
components as (
    select * from staging.kit_component
),

xref as (
    select * from referentials.product_xref where method = 'master'
)

select
    kits.product_id as kit_product_id,
    parts.product_id as component_product_id,
    components.component_qty
from components
inner join xref as kits
    on components.system_code = kits.system_code and components.kit_external_id = kits.product_external_id
inner join xref as parts
    on components.system_code = parts.system_code and components.component_external_id = parts.product_external_id
