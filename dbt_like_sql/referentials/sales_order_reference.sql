with
orders as (
    select * from referentials.sales_order
),

twins as (
    select * from referentials.sales_order_twin where not is_base
),

staged as (
    select * from staging.sales_order
),

quotable as (
    select
        channel_code,
        order_number,
        order_id,
        ordered_at,
        0 as is_twin
    from orders
    union all
    select
        staged.channel_code,
        staged.order_number,
        twins.order_id,
        staged.ordered_at,
        1 as is_twin
    from twins
    inner join staged
        on twins.system_code = staged.system_code and twins.order_external_id = staged.order_external_id
    union all
    -- Without the marketplace's own row the shop's number of an import may still be quoted.
    select
        staged.channel_code,
        staged.order_number,
        orders.order_id,
        staged.ordered_at,
        1 as is_twin
    from orders
    inner join staged
        on orders.system_code = staged.system_code and orders.order_external_id = staged.order_external_id
    where staged.channel_code <> orders.channel_code or staged.order_number <> orders.order_number
),

distinct_references as (
    select
        channel_code,
        order_number,
        order_id,
        min(is_twin) as is_twin,
        min(ordered_at) as ordered_at
    from quotable
    group by channel_code, order_number, order_id
)

select
    channel_code,
    order_number,
    order_id,
    is_twin = 1 as is_twin,
    row_number() over (
        partition by channel_code, order_number order by is_twin, ordered_at, order_id
    ) as reference_place
from distinct_references
