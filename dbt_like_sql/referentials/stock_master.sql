with
locations as (
    select * from retailer.location
),

rules as (
    select * from retailer.master_rule
),

-- A rule for the location's company goes before the one for everywhere.
fitting as (
    select
        locations.location_code,
        rules.system_code,
        row_number() over (
            partition by locations.location_code
            order by case when rules.scope_kind = 'company' then 0 else 1 end
        ) as place
    from locations
    inner join rules
        on
            rules.entity = 'stock' and rules.attribute = 'default' and rules.rank = 1
            and (
                rules.scope_kind = 'everywhere'
                or (rules.scope_kind = 'company' and rules.scope_code = locations.company_code)
            )
)

select
    location_code,
    system_code
from fitting
where place = 1
