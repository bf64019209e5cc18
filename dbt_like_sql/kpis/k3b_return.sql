with return_lines as (
    select * from referentials.return_line
    where source = 'return' and kind = 'customer_return' and order_id is not null
),

orders as (
    select * from referentials.sales_order
),

channels as (
    select * from referentials.channel
    where kind in ('web', 'marketplace')
),

refunds as (
    select * from referentials.refund
),

channel_days as (
    select * from referentials.channel_day
),

utc_days as (
    select * from kpis.channel_utc_day
),

distance_lines as (
    select
        return_lines.return_id,
        return_lines.order_id,
        return_lines.quantity,
        return_lines.requested_at,
        return_lines.proof_of_shipment_at,
        return_lines.received_at,
        coalesce(return_lines.resolution, 'refund') as resolution
    from return_lines
    inner join orders on return_lines.order_id = orders.order_id
    inner join channels on orders.channel_code = channels.channel_code
),

returns as (
    select
        return_id,
        min(order_id) as order_id,
        cast(sum(quantity) as bigint) as units,
        min(requested_at) as requested_at,
        max(proof_of_shipment_at) as proof_of_shipment_at,
        max(received_at) as received_at,
        min(
            case resolution when 'refund' then 1 when 'exchange' then 2 when 'store_credit' then 3 else 4 end
        ) as resolution_rank
    from distance_lines
    group by return_id
),

refunds_of_returns as (
    select
        return_external_id,
        min(initiated_at) as initiated_at
    from refunds
    where return_external_id is not null
    group by return_external_id
),

refunds_of_orders as (
    select
        returns.return_id,
        min(refunds.initiated_at) as initiated_at
    from returns
    inner join refunds on returns.order_id = refunds.order_id
    where refunds.return_external_id is null and refunds.initiated_at >= returns.requested_at
    group by returns.return_id
),

placed as (
    select
        returns.return_id,
        returns.order_id,
        orders.order_number,
        orders.channel_code,
        channels.company_code,
        returns.units,
        returns.requested_at,
        returns.proof_of_shipment_at,
        returns.received_at,
        case returns.resolution_rank when 1 then 'refund' when 2 then 'exchange' when 3 then 'store_credit' else 'none' end
            as resolution,
        coalesce(refunds_of_returns.initiated_at, refunds_of_orders.initiated_at) as refund_initiated_at,
        utc_days.local_date as requested_on
    from returns
    inner join orders on returns.order_id = orders.order_id
    inner join channels on orders.channel_code = channels.channel_code
    left join refunds_of_returns on returns.return_id = refunds_of_returns.return_external_id
    left join refunds_of_orders on returns.return_id = refunds_of_orders.return_id
    left join utc_days
        on
            orders.channel_code = utc_days.channel_code
            and cast(floor(epoch(returns.requested_at) / 86400) as bigint) = utc_days.utc_day
            and returns.requested_at >= utc_days.day_start_at
            and returns.requested_at < utc_days.day_end_at
),

-- French consumer code, L221-24: 14 days after the withdrawal, put off to the first of goods recovered and proof of shipment.
timed as (
    select
        placed.*,
        channel_days.day_end_at as withdrawal_due_at,
        case
            when placed.received_at is null then placed.proof_of_shipment_at
            when placed.proof_of_shipment_at is null or placed.received_at <= placed.proof_of_shipment_at
                then placed.received_at
            else placed.proof_of_shipment_at
        end as goods_at
    from placed
    cross join retailer.kpi_threshold as threshold
    left join channel_days
        on
            placed.channel_code = channel_days.channel_code
            and cast(floor(epoch(placed.requested_on) / 86400) as bigint) + threshold.legal_refund_days
            = cast(floor(epoch(channel_days.local_date) / 86400) as bigint)
    where threshold.kpi_code = 'k3b'
),

due as (
    select
        timed.*,
        case
            when withdrawal_due_at is null or goods_at is null then null
            when goods_at > withdrawal_due_at then goods_at
            else withdrawal_due_at
        end as refund_due_at
    from timed
),

judged as (
    select
        due.*,
        utc_days.local_date as due_on,
        case
            when due.resolution <> 'refund' then due.resolution
            when due.requested_at is null then 'no_request_date'
            when due.withdrawal_due_at is null then 'no_calendar'
            when due.refund_due_at is null and due.refund_initiated_at is null then 'deferred'
            when due.refund_due_at > run_clock.as_of_at and due.refund_initiated_at is null then 'not_due'
        end as exclusion_reason
    from due
    cross join meta.run_clock as run_clock
    left join utc_days
        on
            due.channel_code = utc_days.channel_code
            and cast(floor((epoch(due.refund_due_at) - 0.00001) / 86400) as bigint) = utc_days.utc_day
            and due.refund_due_at > utc_days.day_start_at
            and due.refund_due_at <= utc_days.day_end_at
)

select
    return_id as return_external_id,
    order_id,
    order_number,
    channel_code,
    company_code,
    units,
    requested_at,
    proof_of_shipment_at,
    received_at,
    resolution,
    refund_initiated_at,
    refund_due_at,
    due_on,
    exclusion_reason,
    exclusion_reason is null and refund_initiated_at is not null
    and (refund_due_at is null or refund_initiated_at <= refund_due_at) as is_on_time,
    case
        when refund_initiated_at is null or (received_at is null and proof_of_shipment_at is null) then null
        else greatest(
            0,
            cast(
                floor(epoch(refund_initiated_at)) - floor(epoch(coalesce(received_at, proof_of_shipment_at))) as bigint
            )
        )
    end as refund_cycle_seconds
from judged
