with periods as (
    select * from (values ('all'), ('day')) as period (period_kind)
),

dimensions as (
    select * from (values ('all'), ('company'), ('channel'), ('category')) as dimension (dimension_kind)
),

listings as (
    select
        channel_code,
        company_code,
        snapshot_on,
        coalesce(category_code, 'unknown') as category_code,
        state,
        case when exclusion_reason is null then 1 else 0 end as is_rated,
        shown_qty,
        expected_qty,
        sold_28d_qty
    from kpis.k1b_listing
    where
        exclusion_reason is null
        or exclusion_reason in ('stale', 'no_stock_record', 'kit_without_components')
),

placed as (
    select
        periods.period_kind,
        case periods.period_kind when 'day' then listings.snapshot_on else date '1970-01-01' end as period_start_on,
        dimensions.dimension_kind,
        case dimensions.dimension_kind
            when 'company' then listings.company_code
            when 'channel' then listings.channel_code
            when 'category' then listings.category_code
            else 'all'
        end as dimension_code,
        listings.is_rated,
        listings.state,
        listings.shown_qty,
        listings.expected_qty,
        listings.sold_28d_qty
    from listings
    cross join periods
    cross join dimensions
)

select
    period_kind,
    period_start_on,
    dimension_kind,
    dimension_code,
    cast(sum(is_rated) as bigint) as rated,
    cast(count(*) as bigint) as rated_and_gaps,
    cast(sum(case when state = 'ok' then 1 else 0 end) as bigint) as exact,
    cast(
        sum(case when is_rated = 1 and (shown_qty > 0) = (expected_qty > 0) then 1 else 0 end) as bigint
    ) as sellable_alike,
    cast(sum(case when state = 'ok' then sold_28d_qty else 0 end) as bigint) as exact_weight,
    cast(sum(case when is_rated = 1 then sold_28d_qty else 0 end) as bigint) as rated_weight,
    cast(
        sum(case when is_rated = 1 then greatest(0, shown_qty - expected_qty) else 0 end) as bigint
    ) as oversell_units,
    cast(
        sum(case when is_rated = 1 then greatest(0, expected_qty - shown_qty) else 0 end) as bigint
    ) as hidden_units
from placed
where period_start_on is not null
group by period_kind, period_start_on, dimension_kind, dimension_code
