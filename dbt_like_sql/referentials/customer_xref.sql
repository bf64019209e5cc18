with
customers as (
    select * from staging.customer
),

-- Who has a phone and a name, and under how many e-mails: one is the same person, several are not for us to decide.
known_by_phone as (
    select
        phone_token,
        name_token,
        min(email_token) as email_token,
        count(distinct email_token) as email_qty
    from customers
    where phone_token is not null and name_token is not null
    group by phone_token, name_token
),

identified as (
    select
        customers.system_code,
        customers.customer_external_id,
        case
            when customers.email_token is not null then 'email:' || customers.email_token
            when known_by_phone.email_qty = 1 then 'email:' || known_by_phone.email_token
            when known_by_phone.email_qty = 0
                then 'phone_and_name:' || customers.phone_token || ':' || customers.name_token
            else 'single:' || customers.system_code || ':' || customers.customer_external_id
        end as identity_key,
        case
            when customers.email_token is not null then 'email'
            when known_by_phone.email_qty in (0, 1) then 'phone_and_name'
            else 'single'
        end as method
    from customers
    left join known_by_phone
        on
            customers.phone_token = known_by_phone.phone_token
            and customers.name_token = known_by_phone.name_token
)

select
    system_code,
    customer_external_id,
    'C' || substring(md5(identity_key), 1, 12) as customer_id,
    method,
    cast(case method when 'email' then 95 when 'phone_and_name' then 80 else 100 end as integer) as confidence
from identified
