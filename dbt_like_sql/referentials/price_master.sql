with
rules as (
    select * from retailer.master_rule
),

channels as (
    select * from retailer.channel
),

price_lists as (
    select price_list_code from staging.price
    union
    select price_list_code from staging.promotion
),

entities as (
    select 'price' as entity
    union all
    select 'promotion' as entity
),

-- The rule of a channel that uses the list goes before its company's, and that before the one for everywhere.
fitting as (
    select
        entities.entity,
        price_lists.price_list_code,
        rules.system_code,
        row_number() over (
            partition by entities.entity, price_lists.price_list_code
            order by
                case rules.scope_kind when 'channel' then 0 when 'company' then 1 else 2 end,
                rules.scope_code
        ) as place
    from entities
    cross join price_lists
    left join channels on price_lists.price_list_code = channels.price_list_code
    inner join rules
        on
            rules.entity = entities.entity and rules.attribute = 'default' and rules.rank = 1
            and (
                rules.scope_kind = 'everywhere'
                or (rules.scope_kind = 'channel' and rules.scope_code = channels.channel_code)
                or (rules.scope_kind = 'company' and rules.scope_code = channels.company_code)
            )
)

select
    entity,
    price_list_code,
    system_code
from fitting
where place = 1
