with observations as (
    select * from kpis.k4_observation
    where
        origin = 'web'
        and exclusion_reason is null
        and is_promotion_expected
        and observed_minor < shown_regular_minor
),

segments as (
    select * from kpis.k4_price_segment
),

-- A chain of reductions: promotions of one item and list that follow each other without a gap.
linked as (
    select
        price_list_code,
        product_id,
        from_at,
        to_at,
        case
            when lag(to_at) over (partition by price_list_code, product_id order by from_at) = from_at then 0
            else 1
        end as is_chain_start
    from segments
    where promotion_external_id is not null
),

numbered as (
    select
        price_list_code,
        product_id,
        from_at,
        to_at,
        sum(is_chain_start) over (
            partition by price_list_code, product_id
            order by from_at
            rows between unbounded preceding and current row
        ) as chain_number
    from linked
),

chains as (
    select
        price_list_code,
        product_id,
        from_at,
        to_at,
        min(from_at) over (partition by price_list_code, product_id, chain_number) as first_reduction_at
    from numbered
),

running as (
    select
        observations.channel_code,
        observations.company_code,
        observations.price_list_code,
        observations.product_external_id,
        observations.product_id,
        observations.observed_at,
        observations.shown_regular_minor,
        observations.observed_minor,
        chains.first_reduction_at
    from observations
    inner join chains
        on
            observations.price_list_code = chains.price_list_code
            and observations.product_id = chains.product_id
            and observations.observed_at >= chains.from_at
            and (chains.to_at is null or observations.observed_at < chains.to_at)
),

priors as (
    select
        running.channel_code,
        running.product_external_id,
        min(segments.expected_minor) as prior_minor
    from running
    inner join segments
        on
            running.price_list_code = segments.price_list_code
            and running.product_id = segments.product_id
            and segments.from_at < running.first_reduction_at
            and (
                segments.to_at is null
                or floor(epoch(running.first_reduction_at)) - floor(epoch(segments.to_at)) < 30 * 86400
            )
    group by running.channel_code, running.product_external_id
)

select
    running.channel_code,
    running.company_code,
    running.product_external_id,
    running.product_id,
    running.observed_at,
    running.first_reduction_at,
    running.shown_regular_minor as struck_minor,
    running.observed_minor,
    priors.prior_minor,
    running.shown_regular_minor <= priors.prior_minor as is_lawful
from running
inner join priors
    on
        running.channel_code = priors.channel_code
        and running.product_external_id = priors.product_external_id
