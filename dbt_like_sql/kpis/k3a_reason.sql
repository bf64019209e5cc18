select
    coalesce(reason_code, 'unknown') as reason_code,
    cast(sum(units) as bigint) as units
from kpis.k3a_returned_unit
group by coalesce(reason_code, 'unknown')
