with dimensions as (
    select * from (values ('order'), ('location')) as judged_on (scope)
),

parts as (
    select
        order_id,
        channel_code,
        company_code,
        coalesce(location_code, 'unknown') as location_code,
        promised_ship_by_at,
        promised_on,
        exclusion_reason,
        is_on_time
    from kpis.k2_unit_group
),

placed as (
    select
        dimensions.scope,
        parts.order_id,
        parts.channel_code,
        parts.company_code,
        case dimensions.scope when 'location' then parts.location_code end as location_code,
        parts.promised_on,
        parts.exclusion_reason,
        parts.is_on_time
    from parts
    cross join dimensions
    where parts.exclusion_reason is null or parts.exclusion_reason in ('not_due', 'no_calendar')
)

select
    scope,
    order_id,
    channel_code,
    company_code,
    location_code,
    max(promised_on) as promised_on,
    min(case when is_on_time then 1 else 0 end) as is_on_time_in_full
from placed
group by scope, order_id, channel_code, company_code, location_code
having sum(case when exclusion_reason is null then 0 else 1 end) = 0
