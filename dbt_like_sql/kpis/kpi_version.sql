select
    kpi_code,
    max(kpi_version) as kpi_version,
    max(changed_on) as changed_on
from kpis.kpi_measure
group by kpi_code
