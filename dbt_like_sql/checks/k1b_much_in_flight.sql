select
    channel_code,
    cast(count(*) as bigint) as listings,
    cast(sum(case when state = 'in_flight' then 1 else 0 end) as bigint) as in_flight
from kpis.k1b_listing
group by channel_code
having sum(case when state = 'in_flight' then 1 else 0 end) * 5 > count(*)
