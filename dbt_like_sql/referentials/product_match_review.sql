with
matches as (
    select * from referentials.product_match
),

masters as (
    select * from staging.master_product
),

open_matches as (
    select * from matches where reason is not null
),

candidate_products as (
    select
        open_matches.system_code,
        open_matches.product_external_id,
        masters.product_id
    from open_matches
    inner join masters on open_matches.gtin = masters.gtin
    union
    select
        open_matches.system_code,
        open_matches.product_external_id,
        masters.product_id
    from open_matches
    inner join masters on open_matches.sku = masters.sku
),

listed as (
    select
        system_code,
        product_external_id,
        string_agg(product_id, ', ' order by product_id) as candidates
    from candidate_products
    group by system_code, product_external_id
)

select
    open_matches.system_code,
    open_matches.product_external_id,
    open_matches.sku,
    open_matches.gtin,
    open_matches.reason,
    listed.candidates
from open_matches
left join listed
    on
        open_matches.system_code = listed.system_code
        and open_matches.product_external_id = listed.product_external_id
