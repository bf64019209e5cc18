select
    location_code,
    local_date,
    day_start_at,
    day_end_at,
    is_working_day,
    working_day_index,
    opens_at,
    closes_at,
    cut_off_at,
    working_seconds_before
from retailer.location_day
