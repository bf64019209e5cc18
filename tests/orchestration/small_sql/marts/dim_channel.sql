select
    channel_code,
    name as channel_name
from retailer.channel
