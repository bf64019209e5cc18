with channels as (
    select * from referentials.channel
),

companies as (
    select * from referentials.company
)

select
    channels.channel_code,
    channels.name as channel_name,
    channels.kind as channel_kind,
    channels.company_code,
    companies.name as company_name,
    channels.currency_code,
    channels.tax_territory,
    channels.time_zone,
    channels.price_list_code
from channels
left join companies on channels.company_code = companies.company_code
