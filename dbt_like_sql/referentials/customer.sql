with
xref as (
    select * from referentials.customer_xref
),

customers as (
    select * from staging.customer
),

rules as (
    select * from retailer.master_rule
    where entity = 'customer' and attribute = 'default' and scope_kind = 'everywhere'
),

known as (
    select
        xref.customer_id,
        xref.system_code,
        xref.customer_external_id,
        customers.email_token,
        customers.phone_token,
        customers.name_token,
        customers.country_code,
        customers.is_guest,
        customers.created_at,
        coalesce(rules.rank, 1000000) as rank
    from xref
    inner join customers
        on
            xref.system_code = customers.system_code
            and xref.customer_external_id = customers.customer_external_id
    left join rules on xref.system_code = rules.system_code
),

-- Per attribute the first believed record that has a value: rows are numbered once per attribute.
placed as (
    select
        known.*,
        row_number() over (
            partition by customer_id
            order by case when email_token is null then 1 else 0 end, rank, system_code, customer_external_id
        ) as email_place,
        row_number() over (
            partition by customer_id
            order by case when phone_token is null then 1 else 0 end, rank, system_code, customer_external_id
        ) as phone_place,
        row_number() over (
            partition by customer_id
            order by case when name_token is null then 1 else 0 end, rank, system_code, customer_external_id
        ) as name_place,
        row_number() over (
            partition by customer_id
            order by case when country_code is null then 1 else 0 end, rank, system_code, customer_external_id
        ) as country_place
    from known
)

select
    customer_id,
    max(case when email_place = 1 then email_token end) as email_token,
    max(case when phone_place = 1 then phone_token end) as phone_token,
    max(case when name_place = 1 then name_token end) as name_token,
    max(case when country_place = 1 then country_code end) as country_code,
    min(case when is_guest then 1 else 0 end) = 1 as is_guest,
    min(created_at) as first_seen_at
from placed
group by customer_id
