with run_clock as (
    select * from meta.run_clock
),

instants as (
    select 'k1a' as kpi_code, counted_at as known_at from kpis.k1a_count_line
    union all
    select 'k1b', stock_observed_at from kpis.k1b_listing
    union all
    select 'k2', ordered_at from kpis.k2_unit_group
    union all
    select 'k2', done_at from kpis.k2_unit_group
    union all
    select 'k3a', done_at from kpis.k3a_shipped_part
    union all
    select 'k3a', received_at from kpis.k3a_return_line
    union all
    select 'k3b', requested_at from kpis.k3b_return
    union all
    select 'k3b', received_at from kpis.k3b_return
    union all
    select 'k3b', refund_initiated_at from kpis.k3b_return
    union all
    select 'k4', observed_at from kpis.k4_observation
)

select
    instants.kpi_code,
    max(instants.known_at) as data_as_of_at
from instants
cross join run_clock
where instants.known_at <= run_clock.as_of_at
group by instants.kpi_code
