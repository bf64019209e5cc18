with channels as (
    select * from referentials.channel
    where kind = 'web'
),

channel_locations as (
    select * from referentials.channel_stock_location
),

stock_levels as (
    select * from referentials.stock_level
),

unacknowledged as (
    select * from referentials.unacknowledged_line
),

booked as (
    select
        channels.channel_code,
        stock_levels.product_id,
        cast(sum(stock_levels.on_hand_qty) as bigint) as on_hand_qty,
        cast(sum(case when stock_levels.is_net then 0 else stock_levels.committed_qty end) as bigint) as committed_qty,
        cast(sum(case when stock_levels.is_net then 0 else stock_levels.reserved_qty end) as bigint) as reserved_qty,
        cast(sum(stock_levels.damaged_qty) as bigint) as damaged_qty,
        min(stock_levels.as_of_at) as oldest_as_of_at,
        max(stock_levels.changed_at) as last_changed_at
    from channels
    inner join channel_locations on channels.channel_code = channel_locations.channel_code
    inner join stock_levels on channel_locations.location_code = stock_levels.location_code
    group by channels.channel_code, stock_levels.product_id
),

sold as (
    select
        channels.channel_code,
        unacknowledged.product_id,
        cast(sum(unacknowledged.quantity) as bigint) as unacknowledged_qty,
        max(unacknowledged.ordered_at) as last_ordered_at
    from channels
    inner join channel_locations on channels.channel_code = channel_locations.channel_code
    inner join unacknowledged on channel_locations.location_code = unacknowledged.location_code
    group by channels.channel_code, unacknowledged.product_id
),

pooled as (
    select
        booked.channel_code,
        booked.product_id,
        booked.on_hand_qty,
        booked.committed_qty,
        booked.reserved_qty,
        booked.damaged_qty,
        coalesce(sold.unacknowledged_qty, 0) as unacknowledged_qty,
        coalesce(channels.safety_stock_qty, 0) as safety_stock_qty,
        booked.on_hand_qty - booked.committed_qty - booked.reserved_qty - booked.damaged_qty
        - coalesce(sold.unacknowledged_qty, 0) as available_qty,
        booked.oldest_as_of_at,
        booked.last_changed_at,
        sold.last_ordered_at
    from booked
    inner join channels on booked.channel_code = channels.channel_code
    left join sold
        on
            booked.channel_code = sold.channel_code
            and booked.product_id = sold.product_id
)

select
    channel_code,
    product_id,
    on_hand_qty,
    committed_qty,
    reserved_qty,
    damaged_qty,
    unacknowledged_qty,
    safety_stock_qty,
    available_qty,
    greatest(0, available_qty - safety_stock_qty) as sellable_qty,
    oldest_as_of_at,
    case
        when last_changed_at is null then last_ordered_at
        when last_ordered_at is null or last_changed_at >= last_ordered_at then last_changed_at
        else last_ordered_at
    end as last_moved_at,
    'on hand ' || cast(on_hand_qty as varchar)
    || ' - committed ' || cast(committed_qty as varchar)
    || ' - reserved ' || cast(reserved_qty as varchar)
    || ' - damaged ' || cast(damaged_qty as varchar)
    || ' - unacknowledged ' || cast(unacknowledged_qty as varchar)
    || ' - safety stock ' || cast(safety_stock_qty as varchar)
    || ' = ' || cast(available_qty - safety_stock_qty as varchar) as proof
from pooled
