with
seen as (
    select * from canonical.carrier_scan
),

live as (
    select
        system_code,
        scan_external_id,
        carrier_code,
        tracking_number,
        kind,
        scanned_at,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    scan_external_id,
    carrier_code,
    tracking_number,
    kind,
    scanned_at,
    observed_at
from live
