select
    channel_code,
    local_date,
    day_start_at,
    day_end_at
from retailer.channel_day
