with sales_channels as (
    select * from referentials.channel
),

web_channels as (
    select * from sales_channels
    where kind = 'web'
),

streams as (
    select * from channels.stream_state
),

stock_locations as (
    select * from referentials.channel_stock_location
),

stock_masters as (
    select * from referentials.stock_master
),

price_masters as (
    select * from referentials.price_master
),

product_masters as (
    select distinct system_code
    from retailer.master_rule
    where entity = 'product' and attribute = 'default' and rank = 1
),

-- Other channels' orders take from the same places.
sharing as (
    select distinct
        web_channels.channel_code,
        sellers.system_code
    from web_channels
    inner join stock_locations on web_channels.channel_code = stock_locations.channel_code
    inner join stock_locations as others on stock_locations.location_code = others.location_code
    inner join sales_channels as sellers on others.channel_code = sellers.channel_code
),

stock_sources as (
    select distinct
        web_channels.channel_code,
        stock_masters.system_code
    from web_channels
    inner join stock_locations on web_channels.channel_code = stock_locations.channel_code
    inner join stock_masters on stock_locations.location_code = stock_masters.location_code
),

-- role: what the stream is to the subject. observed: the channel's own state; orders: its orders; source: what should be.
needed as (
    select channel_code, system_code, 'stock' as subject, 'channel_stock' as entity, 'observed' as role
    from web_channels
    union all
    select channel_code, system_code, 'stock', 'product', 'other'
    from web_channels
    union all
    select channel_code, system_code, 'stock', 'order', 'orders'
    from web_channels
    union all
    select sharing.channel_code, sharing.system_code, 'stock', 'order', 'other'
    from sharing
    inner join web_channels on sharing.channel_code = web_channels.channel_code
    where sharing.system_code <> web_channels.system_code
    union all
    select channel_code, system_code, 'stock', 'stock_level', 'source'
    from stock_sources
    union all
    select channel_code, system_code, 'stock', 'order_acknowledgement', 'other'
    from stock_sources
    union all
    select web_channels.channel_code, product_masters.system_code, subjects.subject, entities.entity, 'other'
    from web_channels
    cross join product_masters
    cross join (values ('stock'), ('price')) as subjects (subject)
    cross join (values ('product'), ('kit_component')) as entities (entity)
    where entities.entity = 'product' or subjects.subject = 'stock'
    union all
    select channel_code, system_code, 'price', 'channel_price', 'observed'
    from web_channels
    union all
    select channel_code, system_code, 'price', 'product', 'other'
    from web_channels
    union all
    select web_channels.channel_code, price_masters.system_code, 'price', price_masters.entity, 'source'
    from web_channels
    inner join price_masters on web_channels.price_list_code = price_masters.price_list_code
    union all
    select channel_code, system_code, 'publication', 'channel_price', 'observed'
    from web_channels
    union all
    select channel_code, system_code, 'publication', 'channel_stock', 'observed'
    from web_channels
    union all
    select channel_code, system_code, 'publication', 'product', 'other'
    from web_channels
    union all
    select web_channels.channel_code, price_masters.system_code, 'publication', 'price', 'other'
    from web_channels
    inner join price_masters
        on web_channels.price_list_code = price_masters.price_list_code and price_masters.entity = 'price'
    union all
    select web_channels.channel_code, product_masters.system_code, 'publication', 'product', 'source'
    from web_channels
    cross join product_masters
    union all
    select channel_code, system_code, 'shipment', 'order', 'observed'
    from web_channels
    union all
    select distinct web_channels.channel_code, streams.system_code, 'shipment', streams.entity, 'source'
    from web_channels
    cross join streams
    where streams.entity in ('shipment', 'carrier_scan')
)

select
    needed.channel_code,
    needed.subject,
    streams.system_code,
    streams.stream,
    streams.entity,
    min(needed.role) as role,
    streams.read_at,
    streams.is_failed
from needed
inner join streams on needed.system_code = streams.system_code and needed.entity = streams.entity
group by
    needed.channel_code,
    needed.subject,
    streams.system_code,
    streams.stream,
    streams.entity,
    streams.read_at,
    streams.is_failed
