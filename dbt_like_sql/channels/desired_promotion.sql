with listings as (
    select * from channels.desired_price
    where desired_regular_minor is not null and coalesce(unwritable_reason, '') <> 'currency_mismatch'
),

sales_channels as (
    select * from referentials.channel
),

segments as (
    select * from kpis.k4_price_segment
),

promotions as (
    select * from referentials.promotion
),

run_clock as (
    select * from meta.run_clock
),

-- How long before its start a promotion is put into a shop that holds none.
horizon as (
    select 7 * 86400 as horizon_s
),

coming as (
    select
        segments.price_list_code,
        segments.product_id,
        segments.from_at,
        segments.expected_minor,
        segments.promotion_external_id,
        segments.is_ambiguous,
        row_number() over (partition by segments.price_list_code, segments.product_id order by segments.from_at) as place
    from segments
    cross join run_clock
    where
        segments.from_at > run_clock.as_of_at
        and segments.promotion_external_id is not null
        and segments.expected_minor < segments.regular_minor
),

held as (
    select
        listings.*,
        sales_channels.price_list_code,
        run_clock.as_of_at,
        horizon.horizon_s,
        listings.promotion_minor is not null
        and (listings.promotion_ends_at is null or listings.promotion_ends_at > run_clock.as_of_at) as is_held,
        coalesce(listings.promotion_starts_at > run_clock.as_of_at, false) as is_held_to_come,
        listings.promotion_external_id is not null
        and listings.desired_effective_minor <> listings.desired_regular_minor as is_running
    from listings
    inner join sales_channels on listings.channel_code = sales_channels.channel_code
    cross join run_clock
    cross join horizon
),

-- The promotion that wins now, else the next one to come; far ahead only what the shop holds already is compared with it.
chosen as (
    select
        held.*,
        case when held.is_running then held.promotion_external_id else coming.promotion_external_id end as wanted_id,
        case when held.is_running then held.desired_effective_minor else coming.expected_minor end as wanted_minor,
        case when held.is_running then null else coming.from_at end as wanted_from_at,
        case
            when held.is_running or held.promotion_external_id is not null and held.is_ambiguous then held.is_ambiguous
            else coalesce(coming.is_ambiguous, false)
        end as is_wanted_ambiguous
    from held
    left join coming
        on
            held.price_list_code = coming.price_list_code
            and held.product_id = coming.product_id
            and coming.place = 1
            and not held.is_running
            and (
                floor(epoch(coming.from_at)) - floor(epoch(held.as_of_at)) <= held.horizon_s
                or (held.is_held and held.is_held_to_come)
            )
),

dated as (
    select
        chosen.*,
        coalesce(chosen.wanted_from_at, promotions.starts_at) as wanted_starts_at,
        promotions.ends_at as wanted_ends_at
    from chosen
    left join promotions
        on
            chosen.price_list_code = promotions.price_list_code
            and chosen.product_id = promotions.product_id
            and chosen.wanted_id = promotions.promotion_external_id
),

compared as (
    select
        dated.*,
        case
            when is_wanted_ambiguous then 'ambiguous'
            when is_running and wanted_minor > desired_regular_minor then 'not_lower'
            when wanted_id is null and is_held then 'leaked'
            when wanted_id is null then 'right'
            when not is_held then 'missing'
            when promotion_minor <> wanted_minor then 'wrong_depth'
            -- Two starts that are both past show a buyer the same.
            when
                coalesce(wanted_starts_at, as_of_at) <= as_of_at and coalesce(promotion_starts_at, as_of_at) <= as_of_at
                and floor(coalesce(epoch(promotion_ends_at), -1)) = floor(coalesce(epoch(wanted_ends_at), -1))
                then 'right'
            when coalesce(wanted_starts_at, as_of_at) <= as_of_at and coalesce(promotion_starts_at, as_of_at) > as_of_at
                then 'late'
            when
                coalesce(wanted_starts_at, as_of_at) > as_of_at
                and floor(coalesce(epoch(promotion_starts_at), -1)) <> floor(epoch(wanted_starts_at))
                then 'wrong_start'
            when floor(coalesce(epoch(promotion_ends_at), -1)) <> floor(coalesce(epoch(wanted_ends_at), -1))
                then 'wrong_end'
            else 'right'
        end as verdict
    from dated
),

valued as (
    select
        compared.*,
        case
            when effective_minor <> desired_effective_minor then abs(effective_minor - desired_effective_minor)
            when
                coalesce(case when is_held then promotion_minor end, regular_minor)
                <> coalesce(wanted_minor, desired_regular_minor)
                then
                    abs(
                        coalesce(case when is_held then promotion_minor end, regular_minor)
                        - coalesce(wanted_minor, desired_regular_minor)
                    )
            else abs(desired_regular_minor - coalesce(wanted_minor, promotion_minor))
        end as unit_risk_minor
    from compared
    where verdict <> 'right'
)

select
    channel_code,
    system_code,
    product_external_id,
    product_id,
    sku,
    is_published,
    wanted_id as promotion_external_id,
    wanted_minor as desired_promotion_minor,
    wanted_starts_at as desired_starts_at,
    wanted_ends_at as desired_ends_at,
    verdict,
    case
        when verdict = 'ambiguous' then 'ambiguous_promotion'
        when verdict = 'not_lower' then 'promotion_not_lower'
        else unwritable_reason
    end as unwritable_reason,
    case
        when promotion_minor is null then 'null'
        else
            '{"minor": ' || cast(promotion_minor as varchar)
            || ', "starts_at": '
            || coalesce(
                '"' || strftime(promotion_starts_at, '%Y-%m-%d')
                || 'T' || strftime(promotion_starts_at, '%H:%M:%S') || 'Z"',
                'null'
            )
            || ', "ends_at": '
            || coalesce(
                '"' || strftime(promotion_ends_at, '%Y-%m-%d')
                || 'T' || strftime(promotion_ends_at, '%H:%M:%S') || 'Z"',
                'null'
            )
            || '}'
    end as before_value,
    case
        when wanted_id is null then 'null'
        else
            '{"minor": ' || cast(wanted_minor as varchar)
            || ', "starts_at": '
            || coalesce(
                '"' || strftime(wanted_starts_at, '%Y-%m-%d') || 'T' || strftime(wanted_starts_at, '%H:%M:%S') || 'Z"',
                'null'
            )
            || ', "ends_at": '
            || coalesce(
                '"' || strftime(wanted_ends_at, '%Y-%m-%d') || 'T' || strftime(wanted_ends_at, '%H:%M:%S') || 'Z"',
                'null'
            )
            || '}'
    end as after_value,
    units_at_risk,
    unit_risk_minor * units_at_risk as value_at_risk_minor,
    currency_code,
    observed_at
from valued
