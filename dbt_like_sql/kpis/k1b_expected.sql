with channels as (
    select * from referentials.channel
    where kind = 'web'
),

products as (
    select * from referentials.product
),

kit_components as (
    select * from referentials.kit_component
),

pool as (
    select * from kpis.k1b_pool
),

-- A kit is limited by its tracked components, any other item by itself.
limits as (
    select
        products.product_id as listed_product_id,
        components.product_id,
        components.sku,
        kit_components.component_qty
    from products
    inner join kit_components on products.product_id = kit_components.kit_product_id
    inner join products as components on kit_components.component_product_id = components.product_id
    where
        products.kind = 'kit'
        and components.is_stock_tracked
        and components.kind not in ('service', 'gift_card')
    union all
    select
        product_id,
        product_id,
        sku,
        1
    from products
    where kind not in ('kit', 'service', 'gift_card') and is_stock_tracked
),

limited as (
    select
        channels.channel_code,
        channels.cap_qty,
        limits.listed_product_id,
        limits.component_qty,
        limits.sku,
        pool.product_id as found_product_id,
        cast(floor(pool.sellable_qty / limits.component_qty) as bigint) as sellable_qty,
        pool.oldest_as_of_at,
        pool.last_moved_at,
        pool.proof,
        row_number() over (
            partition by channels.channel_code, limits.listed_product_id
            order by floor(pool.sellable_qty / limits.component_qty), limits.product_id
        ) as scarcity
    from limits
    cross join channels
    left join pool
        on
            channels.channel_code = pool.channel_code
            and limits.product_id = pool.product_id
),

summed as (
    select
        channel_code,
        listed_product_id,
        cap_qty,
        count(*) as limits,
        count(found_product_id) as limits_found,
        min(sellable_qty) as sellable_qty,
        min(oldest_as_of_at) as oldest_as_of_at,
        max(last_moved_at) as last_moved_at,
        min(case when scarcity = 1 then proof end) as proof,
        min(case when scarcity = 1 then sku end) as scarcest_sku,
        min(case when scarcity = 1 then component_qty end) as scarcest_qty
    from limited
    group by channel_code, listed_product_id, cap_qty
)

select
    summed.channel_code,
    summed.listed_product_id as product_id,
    summed.limits = summed.limits_found as is_known,
    case
        when summed.limits > summed.limits_found then null
        when summed.cap_qty < summed.sellable_qty then summed.cap_qty
        else summed.sellable_qty
    end as expected_qty,
    summed.oldest_as_of_at,
    summed.last_moved_at,
    case
        when summed.limits > summed.limits_found then null
        else
            case
                when products.kind = 'kit'
                    then
                        'component ' || coalesce(summed.scarcest_sku, '?') || ': ' || summed.proof
                        || ', ' || cast(summed.scarcest_qty as varchar) || ' in a kit'
                else summed.proof
            end
            || coalesce(', cap ' || cast(summed.cap_qty as varchar), '')
    end as proof
from summed
inner join products on summed.listed_product_id = products.product_id
