with prices as (
    select * from referentials.price
),

promotions as (
    select * from referentials.promotion
),

boundaries as (
    select price_list_code, product_id, valid_from_at as from_at from prices
    union
    select price_list_code, product_id, valid_to_at from prices
    where valid_to_at is not null
    union
    select price_list_code, product_id, starts_at from promotions
    where starts_at is not null
    union
    select price_list_code, product_id, ends_at from promotions
    where ends_at is not null
),

spans as (
    select
        price_list_code,
        product_id,
        from_at,
        lead(from_at) over (partition by price_list_code, product_id order by from_at) as to_at
    from boundaries
),

priced as (
    select
        spans.price_list_code,
        spans.product_id,
        spans.from_at,
        spans.to_at,
        prices.currency_code,
        prices.tax_rate_bp,
        prices.gross_minor as regular_minor
    from spans
    inner join prices
        on
            spans.price_list_code = prices.price_list_code
            and spans.product_id = prices.product_id
            and prices.valid_from_at <= spans.from_at
            and (prices.valid_to_at is null or spans.from_at < prices.valid_to_at)
),

candidates as (
    select
        priced.price_list_code,
        priced.product_id,
        priced.from_at,
        promotions.promotion_external_id,
        promotions.starts_at,
        promotions.priority,
        promotions.is_stackable,
        case promotions.method
            when 'fixed_price' then promotions.amount_minor
            when 'amount_off' then greatest(0, priced.regular_minor - promotions.amount_minor)
            else cast(floor((2 * priced.regular_minor * (10000 - promotions.percentage_bp) + 10000) / 20000) as bigint)
        end as promotion_minor
    from priced
    inner join promotions
        on
            priced.price_list_code = promotions.price_list_code
            and priced.product_id = promotions.product_id
            and priced.currency_code = promotions.currency_code
            and (promotions.starts_at is null or promotions.starts_at <= priced.from_at)
            and (promotions.ends_at is null or priced.from_at < promotions.ends_at)
),

ranked as (
    select
        price_list_code,
        product_id,
        from_at,
        promotion_external_id,
        starts_at,
        promotion_minor,
        rank() over (
            partition by price_list_code, product_id, from_at
            order by priority, promotion_minor, is_stackable
        ) as merit
    from candidates
),

winners as (
    select
        price_list_code,
        product_id,
        from_at,
        min(promotion_external_id) as promotion_external_id,
        min(starts_at) as promotion_starts_at,
        min(promotion_minor) as promotion_minor,
        count(*) > 1 as is_ambiguous
    from ranked
    where merit = 1
    group by price_list_code, product_id, from_at
)

select
    priced.price_list_code,
    priced.product_id,
    priced.from_at,
    priced.to_at,
    priced.currency_code,
    priced.tax_rate_bp,
    priced.regular_minor,
    coalesce(winners.promotion_minor, priced.regular_minor) as expected_minor,
    winners.promotion_external_id,
    winners.promotion_starts_at,
    coalesce(winners.is_ambiguous, false) as is_ambiguous
from priced
left join winners
    on
        priced.price_list_code = winners.price_list_code
        and priced.product_id = winners.product_id
        and priced.from_at = winners.from_at
