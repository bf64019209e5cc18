with
orders as (
    select * from staging.sales_order
),

-- Split orders may share a number: the first one stands for it.
own as (
    select
        orders.*,
        row_number() over (
            partition by channel_code, order_number order by ordered_at, system_code, order_external_id
        ) as number_place
    from orders
    where origin_channel_code is null
),

imported as (
    select
        orders.*,
        coalesce(origin_order_number, system_code || ':' || order_external_id) as origin_key
    from orders
    where origin_channel_code is not null
),

-- The channel's own row is the order; without one the first import of it is.
matched as (
    select
        imported.system_code,
        imported.order_external_id,
        own.system_code as own_system_code,
        own.order_external_id as own_external_id,
        first_value(imported.system_code) over same_origin as first_system_code,
        first_value(imported.order_external_id) over same_origin as first_external_id
    from imported
    left join own
        on
            imported.origin_channel_code = own.channel_code
            and imported.origin_order_number = own.order_number
            and own.number_place = 1
    window same_origin as (
        partition by imported.origin_channel_code, imported.origin_key
        order by imported.system_code, imported.order_external_id
    )
),

linked as (
    select
        system_code,
        order_external_id,
        system_code as base_system_code,
        order_external_id as base_external_id
    from own
    union all
    select
        system_code,
        order_external_id,
        coalesce(own_system_code, first_system_code) as base_system_code,
        case when own_system_code is not null then own_external_id else first_external_id end as base_external_id
    from matched
)

select
    system_code,
    order_external_id,
    'O' || substring(md5(base_system_code || ':' || base_external_id), 1, 12) as order_id,
    system_code = base_system_code and order_external_id = base_external_id as is_base
from linked
