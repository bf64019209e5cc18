with parts as (
    select * from kpis.kpi_part
),

catalog as (
    select * from kpis.kpi_catalog
),

known as (
    select * from kpis.kpi_data_as_of
),

thresholds as (
    select kpi_code, minimum_coverage_pct
    from retailer.kpi_threshold
),

judged as (
    select
        parts.kpi_code,
        catalog.kpi_version,
        parts.measure,
        parts.period_kind,
        parts.period_start_on,
        parts.dimension_kind,
        parts.dimension_code,
        catalog.unit,
        parts.numerator,
        parts.denominator,
        parts.coverage_numerator,
        parts.coverage_denominator,
        case
            when parts.denominator = 0 then 'no_observation'
            when parts.coverage_numerator * 100 < thresholds.minimum_coverage_pct * parts.coverage_denominator
                then 'low_coverage'
        end as not_measurable_reason,
        known.data_as_of_at
    from parts
    inner join catalog
        on
            parts.kpi_code = catalog.kpi_code
            and parts.measure = catalog.measure
    left join known on parts.kpi_code = known.kpi_code
    left join thresholds on parts.kpi_code = thresholds.kpi_code
)

select
    kpi_code,
    kpi_version,
    measure,
    period_kind,
    period_start_on,
    dimension_kind,
    dimension_code,
    unit,
    numerator,
    denominator,
    case
        when not_measurable_reason is not null then null
        when denominator is null then cast(numerator as double)
        else cast(numerator as double) / denominator
    end as value,
    coverage_numerator,
    coverage_denominator,
    not_measurable_reason,
    data_as_of_at
from judged
