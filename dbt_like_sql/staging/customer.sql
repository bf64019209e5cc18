with
seen as (
    select * from canonical.customer
),

live as (
    select
        system_code,
        customer_external_id,
        email_token,
        phone_token,
        name_token,
        country_code,
        is_guest,
        created_at,
        updated_at,
        observed_at
    from seen
    where not _is_deleted
)

select
    system_code,
    customer_external_id,
    email_token,
    phone_token,
    name_token,
    country_code,
    is_guest,
    created_at,
    updated_at,
    observed_at
from live
