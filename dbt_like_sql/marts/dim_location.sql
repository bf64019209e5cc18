with locations as (
    select * from referentials.location
),

companies as (
    select * from referentials.company
)

select
    locations.location_code,
    locations.name as location_name,
    locations.kind as location_kind,
    locations.company_code,
    companies.name as company_name,
    locations.gln,
    locations.time_zone
from locations
left join companies on locations.company_code = companies.company_code
