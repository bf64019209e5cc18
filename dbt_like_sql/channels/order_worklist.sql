with states as (
    select * from channels.order_state
    where coalesce(not is_accepted, true)
),

-- An order that goes to several systems shows once, as the first of them has it.
placed_messages as (
    select
        *,
        row_number() over (
            partition by system_code, order_external_id order by target_system_code, order_number
        ) as place
    from meta.order_message
),

messages as (
    select * from placed_messages where place = 1
),

orders as (
    select * from referentials.sales_order
),

-- How long the master may take to answer.
patience as (
    select 24 as unanswered_after_hours
),

judged as (
    select
        states.channel_code,
        states.order_number,
        states.order_id,
        states.system_code,
        states.order_external_id,
        states.status,
        states.total_minor,
        states.currency_code,
        case
            when states.acknowledged_at is not null then 'refused'
            when states.unknown_line_qty > 0 then 'no_master_sku'
            when states.is_incomplete then 'incomplete'
            when messages.state = 'failed' then 'not_sent'
            when states.waiting_seconds > patience.unanswered_after_hours * 3600 then 'unanswered'
        end as problem,
        coalesce(states.acknowledged_at, states.payable_at) as since_at,
        states.refusal_reason,
        states.unknown_line_qty,
        states.unknown_item,
        states.waiting_seconds,
        messages.reason as message_reason
    from states
    cross join patience
    left join messages
        on states.system_code = messages.system_code and states.order_external_id = messages.order_external_id
    where states.live_line_qty > 0 or states.is_incomplete
    union all
    -- No message takes an order back: a person cancels it where it was sent.
    select
        orders.channel_code,
        orders.order_number,
        orders.order_id,
        orders.system_code,
        orders.order_external_id,
        orders.status,
        orders.total_minor,
        orders.currency_code,
        'cancelled_after_sent' as problem,
        messages.cancelled_at as since_at,
        cast(null as varchar) as refusal_reason,
        cast(null as bigint) as unknown_line_qty,
        cast(null as varchar) as unknown_item,
        cast(null as bigint) as waiting_seconds,
        messages.file as message_reason
    from messages
    inner join orders
        on messages.system_code = orders.system_code and messages.order_external_id = orders.order_external_id
    where messages.cancelled_at is not null and messages.state in ('sent', 'acknowledged') and orders.status = 'cancelled'
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
        when 'not_sent' then message_reason
        when 'cancelled_after_sent' then 'cancelled in the shop after it was sent in ' || coalesce(message_reason, '?')
        else 'payable and not acknowledged for ' || cast(floor(waiting_seconds / 3600) as bigint) || ' h'
    end as reason,
    since_at,
    total_minor,
    currency_code,
    cast(row_number() over (
        order by
            case when problem = 'cancelled_after_sent' then 0 when status = 'payable' then 0 else 1 end,
            since_at,
            total_minor desc,
            channel_code,
            order_number,
            order_id
    ) as bigint) as work_rank
from judged
where problem is not null
