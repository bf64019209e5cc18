with
seen as (
    select * from canonical.kit_component
),

live as (
    select
        system_code,
        kit_external_id,
        component_external_id,
        component_qty,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    kit_external_id,
    component_external_id,
    component_qty,
    observed_at
from live
