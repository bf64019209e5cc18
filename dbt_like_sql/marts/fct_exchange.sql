select
    exchange_id,
    happened_at as exchanged_at,
    system_code,
    stream as stream_or_target,
    direction,
    kind,
    coalesce(outcome, case when is_ok then 'ok' else 'failed' end) as outcome,
    is_ok,
    rows_qty,
    bytes as exchanged_bytes,
    duration_s as duration_seconds,
    case when not is_ok then detail end as error_text,
    request_id,
    file as file_name,
    line as line_number,
    extract_id,
    run_id
from meta.exchange
