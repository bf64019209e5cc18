select
    promised_on,
    company_code,
    channel_code,
    coalesce(location_code, 'unknown') as location_code,
    coalesce(carrier_code, 'unknown') as carrier_code,
    cast(sum(case when exclusion_reason is null then units else 0 end) as bigint) as due_units,
    cast(sum(case when exclusion_reason in ('no_handover_record', 'no_calendar') then units else 0 end) as bigint) as gap_units,
    cast(sum(case when is_on_time then units else 0 end) as bigint) as on_time_units,
    cast(sum(
        case
            when part_status in ('preparing', 'open') and coalesce(exclusion_reason, 'not_due') = 'not_due' then units
            else 0
        end
    ) as bigint) as open_units,
    cast(sum(
        case when part_status in ('preparing', 'open') and exclusion_reason is null then units else 0 end
    ) as bigint) as overdue_units,
    cast(count(*) as bigint) as part_qty
from kpis.k2_unit_group
group by
    promised_on,
    company_code,
    channel_code,
    coalesce(location_code, 'unknown'),
    coalesce(carrier_code, 'unknown')
