select
    origin,
    observed_on,
    company_code,
    channel_code,
    location_code,
    coalesce(category_code, 'unknown') as category_code,
    cast(sum(case when exclusion_reason is null then 1 else 0 end) as bigint) as rated,
    cast(count(*) as bigint) as rated_and_gaps,
    cast(sum(case when verdict = 'ok' then 1 else 0 end) as bigint) as conform,
    cast(sum(case when direction = 'over' then 1 else 0 end) as bigint) as over_charged,
    cast(sum(case when direction = 'under' then 1 else 0 end) as bigint) as under_charged
from kpis.k4_observation
where
    exclusion_reason is null
    or exclusion_reason in ('no_observed_price', 'no_expected_price', 'stale')
group by origin, observed_on, company_code, channel_code, location_code, coalesce(category_code, 'unknown')
