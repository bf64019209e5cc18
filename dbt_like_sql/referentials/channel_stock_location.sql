select
    channel_code,
    location_code
from retailer.channel_stock_location
