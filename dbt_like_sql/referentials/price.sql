with
prices as (
    select * from staging.price
),

masters as (
    select * from referentials.price_master where entity = 'price'
),

xref as (
    select * from referentials.product_xref
),

believed as (
    select
        prices.*,
        xref.product_id,
        lead(prices.valid_from_at) over (
            partition by prices.price_list_code, xref.product_id order by prices.valid_from_at
        ) as next_from_at
    from prices
    inner join masters
        on prices.price_list_code = masters.price_list_code and prices.system_code = masters.system_code
    inner join xref
        on prices.system_code = xref.system_code and prices.product_external_id = xref.product_external_id
),

-- The next price ends the one before it, whatever end that one declared.
closed as (
    select
        believed.*,
        case
            when next_from_at < valid_to_at or valid_to_at is null then next_from_at
            else valid_to_at
        end as closed_at
    from believed
)

select
    price_list_code,
    product_id,
    currency_code,
    case
        when is_vat_included then amount_minor
        else cast(floor((amount_minor * (10000 + tax_rate_bp) + 5000) / 10000) as bigint)
    end as gross_minor,
    amount_minor,
    is_vat_included,
    tax_rate_bp,
    valid_from_at,
    closed_at as valid_to_at
from closed
where closed_at is null or closed_at > valid_from_at
