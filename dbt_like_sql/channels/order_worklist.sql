with states as (
    select * from channels.order_state
    where coalesce(not is_accepted, true)
),

-- How long the master may take to answer.
patience as (
    select 24 as unanswered_after_hours
),

judged as (
    select
        states.*,
        case
            when states.acknowledged_at is not null then 'refused'
            when states.unknown_line_qty > 0 then 'no_master_sku'
            when states.is_incomplete then 'incomplete'
            when states.waiting_seconds > patience.unanswered_after_hours * 3600 then 'unanswered'
        end as problem
    from states
    cross join patience
    where states.live_line_qty > 0 or states.is_incomplete
)

select
    channel_code,
    order_number,
    order_id,
    system_code,
    order_external_id,
    status,
    problem,
    case problem
        when 'refused' then coalesce(refusal_reason, 'no reason given')
        when 'no_master_sku'
            then
                cast(unknown_line_qty as varchar) || ' line(s) without an item of the master, first: '
                || coalesce(unknown_item, '?')
        when 'incomplete' then 'its lines do not make its total: a line is missing or was refused'
        else 'payable and not acknowledged for ' || cast(floor(waiting_seconds / 3600) as bigint) || ' h'
    end as reason,
    coalesce(acknowledged_at, payable_at) as since_at,
    total_minor,
    currency_code,
    cast(row_number() over (
        order by
            case status when 'payable' then 0 else 1 end,
            coalesce(acknowledged_at, payable_at),
            total_minor desc,
            channel_code,
            order_number,
            order_id
    ) as bigint) as work_rank
from judged
where problem is not null
