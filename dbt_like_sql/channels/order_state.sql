with standings as (
    select * from channels.order_standing
    -- Nearly all are accepted, and need nothing any more.
    where is_accepted is null or not is_accepted or acknowledged_at is null
),

run_clock as (
    select * from meta.run_clock
)

select
    standings.order_id,
    standings.system_code,
    standings.channel_code,
    standings.channel_kind,
    standings.order_number,
    standings.order_external_id,
    standings.status,
    standings.payable_at,
    standings.currency_code,
    standings.total_minor,
    standings.acknowledged_at,
    standings.is_accepted,
    standings.refusal_reason,
    standings.live_line_qty,
    standings.unknown_line_qty,
    standings.unknown_item,
    standings.is_incomplete,
    cast(floor(epoch(run_clock.as_of_at)) - floor(epoch(standings.payable_at)) as bigint) as waiting_seconds
from standings
cross join run_clock
