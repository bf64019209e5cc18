select
    company_code,
    name as company_name,
    country_code
from referentials.company
