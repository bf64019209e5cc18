with
xref as (
    select * from referentials.product_xref
),

items as (
    select * from staging.product
),

masters as (
    select * from staging.master_product
),

rules as (
    select * from retailer.master_rule where entity = 'product'
),

attributes as (
    select 'sku' as attribute
    union all
    select 'gtin' as attribute
    union all
    select 'name' as attribute
    union all
    select 'brand' as attribute
    union all
    select 'category_code' as attribute
    union all
    select 'kind' as attribute
    union all
    select 'is_stock_tracked' as attribute
    union all
    select 'is_active' as attribute
    union all
    select 'tax_rate_bp' as attribute
    union all
    select 'weight_g' as attribute
),

categories as (
    select distinct coalesce(category_code, '') as category_code from masters
),

-- A rule that names the attribute goes before the default, then a rule for the category before the one for everywhere.
fitting_rules as (
    select
        attributes.attribute,
        categories.category_code,
        rules.system_code,
        rules.rank,
        rank() over (
            partition by attributes.attribute, categories.category_code
            order by
                case when rules.attribute = 'default' then 1 else 0 end,
                case when rules.scope_kind = 'everywhere' then 1 else 0 end
        ) as rule_place
    from attributes
    cross join categories
    inner join rules
        on
            (rules.attribute = attributes.attribute or rules.attribute = 'default')
            and (
                rules.scope_kind = 'everywhere'
                or (rules.scope_kind = 'category' and rules.scope_code = categories.category_code)
            )
),

believed as (
    select
        attribute,
        category_code,
        system_code,
        rank
    from fitting_rules
    where rule_place = 1
),

values_given as (
    select
        xref.product_id,
        coalesce(masters.category_code, '') as category_code,
        attributes.attribute,
        xref.system_code,
        xref.product_external_id as external_id,
        case attributes.attribute
            when 'sku' then items.sku
            when 'gtin' then items.gtin
            when 'name' then items.name
            when 'brand' then items.brand
            when 'category_code' then items.category_code
            when 'kind' then items.kind
            when 'is_stock_tracked' then cast(items.is_stock_tracked as varchar)
            when 'is_active' then cast(items.is_active as varchar)
            when 'tax_rate_bp' then cast(items.tax_rate_bp as varchar)
            when 'weight_g' then cast(items.weight_g as varchar)
        end as value
    from xref
    inner join items
        on xref.system_code = items.system_code and xref.product_external_id = items.product_external_id
    inner join masters on xref.product_id = masters.product_id
    cross join attributes
),

placed as (
    select
        values_given.*,
        believed.rank,
        row_number() over (
            partition by values_given.product_id, values_given.attribute
            order by
                case when values_given.value is null or believed.rank is null then 1 else 0 end,
                believed.rank,
                values_given.external_id
        ) as place
    from values_given
    left join believed
        on
            values_given.attribute = believed.attribute
            and values_given.category_code = believed.category_code
            and values_given.system_code = believed.system_code
),

winners as (
    select
        product_id,
        attribute,
        system_code
    from placed
    where place = 1 and value is not null and rank is not null
),

told as (
    select
        placed.*,
        placed.place = 1 and placed.value is not null and placed.rank is not null as is_elected,
        case
            when placed.value is null then placed.system_code || ' has no value'
            when placed.rank is null then placed.system_code || ' is not a master for ' || placed.attribute
            when placed.place = 1 and placed.rank = 1 then placed.system_code || ' is master for ' || placed.attribute
            when placed.place = 1
                then placed.system_code || ' is the first master with a value for ' || placed.attribute
            when winners.system_code = placed.system_code then placed.system_code || ' has another item of this product'
            else winners.system_code || ' is master for ' || placed.attribute
        end as reason
    from placed
    left join winners on placed.product_id = winners.product_id and placed.attribute = winners.attribute
)

select
    product_id,
    attribute,
    system_code,
    external_id,
    value,
    rank,
    is_elected,
    reason
from told
