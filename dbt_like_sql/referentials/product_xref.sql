with
matches as (
    select * from referentials.product_match
)

select
    system_code,
    product_external_id,
    product_id,
    method,
    confidence
from matches
where product_id is not null
