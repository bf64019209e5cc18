with
seen as (
    select * from canonical.order_acknowledgement
),

live as (
    select
        system_code,
        channel_code,
        order_number,
        acknowledged_at,
        is_accepted,
        refusal_reason,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    channel_code,
    order_number,
    acknowledged_at,
    is_accepted,
    refusal_reason,
    observed_at
from live
