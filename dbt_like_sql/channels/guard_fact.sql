with sales_channels as (
    select * from referentials.channel
    where kind = 'web'
),

feeding as (
    select * from channels.feeding_stream
),

listings as (
    select * from referentials.listing
),

stock as (
    select * from kpis.k1b_listing
),

shipments as (
    select * from channels.desired_shipment
),

levels as (
    select * from referentials.stock_level
),

stock_locations as (
    select * from referentials.channel_stock_location
),

subjects as (
    select * from (values ('stock'), ('price'), ('publication'), ('shipment')) as subject (subject)
),

-- What the channel lists, and what it should list and does not.
missing as (
    select
        channel_code,
        count(*) as missing_qty
    from stock
    where product_external_id is null
    group by channel_code
),

listed as (
    select
        channel_code,
        count(*) as listed_qty,
        cast(sum(case when stock_observed_at is not null then 1 else 0 end) as bigint) as stock_qty,
        cast(sum(case when price_observed_at is not null then 1 else 0 end) as bigint) as price_qty,
        cast(sum(case when is_published is not null then 1 else 0 end) as bigint) as published_qty,
        min(stock_observed_at) as oldest_stock_at,
        min(price_observed_at) as oldest_price_at,
        min(coalesce(stock_observed_at, price_observed_at)) as oldest_published_at
    from listings
    group by channel_code
),

sent as (
    select
        channel_code,
        count(*) as order_qty,
        min(observed_at) as oldest_order_at
    from shipments
    group by channel_code
),

stock_age as (
    select
        stock_locations.channel_code,
        max(levels.as_of_at) as source_as_of_at
    from stock_locations
    inner join levels on stock_locations.location_code = levels.location_code
    group by stock_locations.channel_code
),

-- As old as the oldest of the streams it takes.
stream_ages as (
    select
        channel_code,
        subject,
        min(case when role = 'observed' then coalesce(read_at, timestamptz '1970-01-01 00:00:00+00') end) as observed_read_at,
        min(case when role = 'orders' then coalesce(read_at, timestamptz '1970-01-01 00:00:00+00') end) as orders_read_at,
        min(case when role = 'source' then coalesce(read_at, timestamptz '1970-01-01 00:00:00+00') end) as source_read_at
    from feeding
    group by channel_code, subject
),

failed as (
    select distinct
        channel_code,
        subject,
        system_code || '.' || stream as stream_name
    from feeding
    where is_failed
),

failed_lists as (
    select
        channel_code,
        subject,
        string_agg(stream_name, ', ' order by stream_name) as failed_streams
    from failed
    group by channel_code, subject
)

select
    sales_channels.channel_code,
    sales_channels.system_code,
    subjects.subject,
    case subjects.subject
        when 'shipment' then coalesce(sent.order_qty, 0)
        else coalesce(listed.listed_qty, 0) + coalesce(missing.missing_qty, 0)
    end as listings_qty,
    case subjects.subject
        when 'stock' then coalesce(listed.stock_qty, 0)
        when 'price' then coalesce(listed.price_qty, 0)
        when 'publication' then coalesce(listed.published_qty, 0)
        else coalesce(sent.order_qty, 0)
    end as observed_qty,
    nullif(stream_ages.observed_read_at, timestamptz '1970-01-01 00:00:00+00') as observation_read_at,
    case subjects.subject
        when 'stock' then listed.oldest_stock_at
        when 'price' then listed.oldest_price_at
        when 'publication' then listed.oldest_published_at
        else sent.oldest_order_at
    end as oldest_observed_at,
    nullif(stream_ages.orders_read_at, timestamptz '1970-01-01 00:00:00+00') as orders_read_at,
    case subjects.subject
        when 'stock' then stock_age.source_as_of_at
        else nullif(stream_ages.source_read_at, timestamptz '1970-01-01 00:00:00+00')
    end as source_as_of_at,
    coalesce(failed_lists.failed_streams, '') as failed_streams
from sales_channels
cross join subjects
left join listed on sales_channels.channel_code = listed.channel_code
left join missing on sales_channels.channel_code = missing.channel_code
left join sent on sales_channels.channel_code = sent.channel_code
left join stock_age on sales_channels.channel_code = stock_age.channel_code
left join stream_ages
    on sales_channels.channel_code = stream_ages.channel_code and subjects.subject = stream_ages.subject
left join failed_lists
    on sales_channels.channel_code = failed_lists.channel_code and subjects.subject = failed_lists.subject
