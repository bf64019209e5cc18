select
    company_code,
    name,
    country_code
from retailer.company
