with measures as (
    select * from kpis.kpi_measure
),

thresholds as (
    select * from retailer.kpi_threshold
)

select
    measures.kpi_code,
    measures.measure,
    measures.name_en,
    measures.name_fr,
    measures.meaning_en,
    measures.meaning_fr,
    measures.formula,
    measures.grain,
    measures.unit,
    measures.better,
    case when measures.is_headline then cast(thresholds.target_pct as double) / 100 end as target,
    case when measures.is_headline then cast(thresholds.alert_pct as double) / 100 end as alert,
    case when measures.is_headline then cast(thresholds.minimum_coverage_pct as double) / 100 end as minimum_coverage,
    measures.kpi_version,
    measures.changed_on
from measures
left join thresholds on measures.kpi_code = thresholds.kpi_code
