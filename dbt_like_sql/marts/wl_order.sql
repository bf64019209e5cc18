select
    channel_code,
    order_number,
    order_id,
    system_code,
    order_external_id,
    status,
    problem,
    reason,
    since_at,
    total_minor,
    currency_code,
    work_rank
from channels.order_worklist
