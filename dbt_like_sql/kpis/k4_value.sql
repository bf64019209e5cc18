with periods as (
    select * from (values ('all'), ('day'), ('month')) as period (period_kind)
),

dimensions as (
    select *
    from (values ('all'), ('company'), ('channel'), ('location'), ('category')) as dimension (dimension_kind)
),

cube as (
    select * from kpis.k4_observation_day
),

placed as (
    select
        periods.period_kind,
        case periods.period_kind
            when 'day' then cube.observed_on
            when 'month' then cast(date_trunc('month', cube.observed_on) as date)
            else date '1970-01-01'
        end as period_start_on,
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then cube.company_code
            when 'channel' then cube.channel_code
            when 'location' then cube.location_code
            when 'category' then cube.category_code
            else 'all'
        end as dimension_code,
        cube.rated,
        cube.rated_and_gaps,
        cube.conform,
        cube.over_charged,
        cube.under_charged
    from cube
    cross join periods
    cross join dimensions
    where periods.period_kind <> 'month' or cube.origin = 'till'
),

rolled as (
    select
        period_kind,
        period_start_on,
        dimension_kind,
        dimension_code,
        cast(sum(rated) as bigint) as rated,
        cast(sum(rated_and_gaps) as bigint) as rated_and_gaps,
        cast(sum(conform) as bigint) as conform,
        cast(sum(over_charged) as bigint) as over_charged,
        cast(sum(under_charged) as bigint) as under_charged
    from placed
    where period_start_on is not null and dimension_code is not null
    group by period_kind, period_start_on, dimension_kind, dimension_code
),

parity_dimensions as (
    select * from (values ('all'), ('parity_group')) as dimension (dimension_kind)
),

parity_placed as (
    select
        parity_dimensions.dimension_kind,
        case parity_dimensions.dimension_kind when 'parity_group' then parity.parity_group_code else 'all' end
            as dimension_code,
        case when parity.lowest_minor = parity.highest_minor then 1 else 0 end as equal_variants,
        parity.gap_bp
    from kpis.k4_parity as parity
    cross join parity_dimensions
),

parity_rolled as (
    select
        dimension_kind,
        dimension_code,
        cast(sum(equal_variants) as bigint) as equal_variants,
        cast(sum(gap_bp) as bigint) as gap_bp,
        cast(count(*) as bigint) as variants
    from parity_placed
    group by dimension_kind, dimension_code
),

prior_placed as (
    select
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then reductions.company_code
            when 'channel' then reductions.channel_code
            else 'all'
        end as dimension_code,
        case when reductions.is_lawful then 1 else 0 end as lawful
    from kpis.k4_prior_price as reductions
    cross join dimensions
    where dimensions.dimension_kind in ('all', 'company', 'channel')
),

prior_rolled as (
    select
        dimension_kind,
        dimension_code,
        cast(sum(lawful) as bigint) as lawful,
        cast(count(*) as bigint) as promotions
    from prior_placed
    group by dimension_kind, dimension_code
),

measured as (
    select
        'conformance' as measure, period_kind, period_start_on, dimension_kind, dimension_code,
        conform as numerator, rated as denominator, rated as coverage_numerator, rated_and_gaps as coverage_denominator
    from rolled
    union all
    select
        'overcharge', period_kind, period_start_on, dimension_kind, dimension_code,
        over_charged, rated, rated, rated_and_gaps
    from rolled
    union all
    select
        'undercharge', period_kind, period_start_on, dimension_kind, dimension_code,
        under_charged, rated, rated, rated_and_gaps
    from rolled
    union all
    select
        'parity_equal', 'all', date '1970-01-01', dimension_kind, dimension_code,
        equal_variants, variants, variants, variants
    from parity_rolled
    union all
    select
        'parity_mean_gap_bp', 'all', date '1970-01-01', dimension_kind, dimension_code,
        gap_bp, variants, cast(null as bigint), cast(null as bigint)
    from parity_rolled
    union all
    select
        'prior_price', 'all', date '1970-01-01', dimension_kind, dimension_code,
        lawful, promotions, promotions, promotions
    from prior_rolled
)

select
    'k4' as kpi_code,
    measure,
    period_kind,
    period_start_on,
    dimension_kind,
    dimension_code,
    numerator,
    denominator,
    coverage_numerator,
    coverage_denominator
from measured
