with overdue as (
    select * from kpis.k3b_return
    where exclusion_reason is null and refund_initiated_at is null
)

select
    overdue.return_external_id,
    overdue.channel_code,
    overdue.order_number,
    overdue.requested_at,
    overdue.received_at,
    overdue.refund_due_at,
    cast(floor(
        (floor(epoch(run_clock.as_of_at)) - floor(epoch(overdue.refund_due_at))) / 86400
    ) as bigint) as overdue_days,
    overdue.units,
    cast(row_number() over (order by overdue.refund_due_at, overdue.return_external_id) as bigint) as work_rank
from overdue
cross join meta.run_clock as run_clock
