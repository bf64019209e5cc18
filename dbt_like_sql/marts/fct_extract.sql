select
    extract_id,
    system_code,
    stream,
    outcome,
    announced_qty,
    landed_qty,
    quarantined_qty,
    since_at,
    watermark_at,
    bytes as received_bytes,
    duration_s as duration_seconds,
    error as error_text
from meta.extract
