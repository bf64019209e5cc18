with
seen as (
    select * from canonical.return_line
),

live as (
    select
        system_code,
        return_external_id,
        line_number,
        kind,
        channel_code,
        order_number,
        order_line_external_id,
        sku,
        quantity,
        requested_at,
        proof_of_shipment_at,
        received_at,
        inspected_at,
        restocked_at,
        disposition,
        reason_code,
        resolution,
        receiving_location_code,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    return_external_id,
    line_number,
    kind,
    channel_code,
    order_number,
    order_line_external_id,
    sku,
    quantity,
    requested_at,
    proof_of_shipment_at,
    received_at,
    inspected_at,
    restocked_at,
    disposition,
    reason_code,
    resolution,
    receiving_location_code,
    observed_at
from live
