with
seen as (
    select * from canonical.product
),

live as (
    select
        system_code,
        product_external_id,
        parent_external_id,
        sku,
        gtin,
        name,
        brand,
        category_code,
        kind,
        is_stock_tracked,
        is_active,
        tax_rate_bp,
        weight_g,
        updated_at,
        observed_at,
        -- People and labels group the digits.
        replace(replace(trim(gtin), ' ', ''), '-', '') as gtin_digits
    from seen
    where not _is_deleted
),

shaped as (
    select
        live.*,
        case
            when gtin_digits is null or gtin_digits = '' then 'missing'
            when translate(gtin_digits, '0123456789', '') <> '' then 'not_digits'
            when length(gtin_digits) not in (8, 12, 13, 14) then 'wrong_length'
            when translate(gtin_digits, '0', '') = '' then 'all_zeros'
        end as shape_fault
    from live
),

padded as (
    select
        shaped.*,
        case when shape_fault is null then lpad(gtin_digits, 14, '0') end as gtin_padded
    from shaped
),

-- GS1 General Specifications 7.9: weights 3 and 1 in turn, the check digit completes the sum to a multiple of ten.
summed as (
    select
        padded.*,
        3 * (
            cast(substring(gtin_padded, 1, 1) as bigint) + cast(substring(gtin_padded, 3, 1) as bigint)
            + cast(substring(gtin_padded, 5, 1) as bigint) + cast(substring(gtin_padded, 7, 1) as bigint)
            + cast(substring(gtin_padded, 9, 1) as bigint) + cast(substring(gtin_padded, 11, 1) as bigint)
            + cast(substring(gtin_padded, 13, 1) as bigint)
        )
        + cast(substring(gtin_padded, 2, 1) as bigint) + cast(substring(gtin_padded, 4, 1) as bigint)
        + cast(substring(gtin_padded, 6, 1) as bigint) + cast(substring(gtin_padded, 8, 1) as bigint)
        + cast(substring(gtin_padded, 10, 1) as bigint) + cast(substring(gtin_padded, 12, 1) as bigint)
        + cast(substring(gtin_padded, 14, 1) as bigint) as weighted_sum
    from padded
),

judged as (
    select
        summed.*,
        case
            when shape_fault is not null then shape_fault
            when mod(weighted_sum, 10) <> 0 then 'wrong_check_digit'
            else 'valid'
        end as gtin_status
    from summed
)

select
    system_code,
    product_external_id,
    parent_external_id,
    sku,
    gtin as gtin_as_given,
    case when gtin_status = 'valid' then gtin_padded end as gtin,
    gtin_status,
    name,
    brand,
    category_code,
    kind,
    is_stock_tracked,
    is_active,
    tax_rate_bp,
    weight_g,
    updated_at,
    observed_at
from judged
