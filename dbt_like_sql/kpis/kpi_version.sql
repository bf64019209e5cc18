select
    kpi_code,
    cast(kpi_version as bigint) as kpi_version,
    changed_on
from (
    values
    ('k1a', 1, date '2026-05-18'),
    ('k1b', 1, date '2026-05-18'),
    ('k2', 1, date '2026-05-18'),
    ('k3a', 1, date '2026-05-18'),
    ('k3b', 1, date '2026-05-18'),
    ('k4', 1, date '2026-05-18')
) as version (kpi_code, kpi_version, changed_on)
