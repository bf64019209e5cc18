select
    location_code,
    name,
    kind,
    company_code,
    gln,
    time_zone,
    calendar_code,
    handling_working_days
from retailer.location
