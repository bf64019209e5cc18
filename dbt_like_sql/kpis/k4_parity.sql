with variants as (
    select
        parity_group_code,
        product_id,
        count(*) as channels,
        min(tax_territory) = max(tax_territory) as is_one_territory,
        min(gross_minor) as lowest_gross_minor,
        max(gross_minor) as highest_gross_minor,
        min(net_minor) as lowest_net_minor,
        max(net_minor) as highest_net_minor
    from kpis.k4_shown_price
    group by parity_group_code, product_id
    having count(*) >= 2 and min(currency_code) = max(currency_code)
),

compared as (
    select
        parity_group_code,
        product_id,
        channels,
        not is_one_territory as is_without_vat,
        case when is_one_territory then lowest_gross_minor else lowest_net_minor end as lowest_minor,
        case when is_one_territory then highest_gross_minor else highest_net_minor end as highest_minor
    from variants
)

select
    parity_group_code,
    product_id,
    channels as channel_qty,
    is_without_vat,
    lowest_minor,
    highest_minor,
    cast(floor((highest_minor - lowest_minor) * 10000 / greatest(lowest_minor, 1)) as bigint) as gap_bp
from compared
