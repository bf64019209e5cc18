with streams as (
    select * from meta.stream
),

readings as (
    select * from meta.extract
    where coalesce(kind, 'read') = 'read'
),

ranked as (
    select
        system_code,
        stream,
        outcome,
        is_loadable,
        row_number() over (
            partition by system_code, stream order by started_at desc, finished_at desc, extract_id desc
        ) as recency
    from readings
),

read_until as (
    select
        system_code,
        stream,
        max(watermark_at) as watermark_at
    from readings
    where is_loadable
    group by system_code, stream
)

select
    streams.system_code,
    streams.stream,
    streams.entity,
    read_until.watermark_at as read_at,
    coalesce(ranked.outcome = 'failed' or not ranked.is_loadable, false) as is_failed
from streams
left join read_until on streams.system_code = read_until.system_code and streams.stream = read_until.stream
left join ranked
    on streams.system_code = ranked.system_code and streams.stream = ranked.stream and ranked.recency = 1
