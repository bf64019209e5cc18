select
    channel_code,
    name,
    kind,
    company_code,
    system_code,
    time_zone,
    currency_code,
    tax_territory,
    price_list_code,
    ships_from_code,
    safety_stock_qty,
    cap_qty,
    sync_promise_minutes,
    stock_stale_after_minutes,
    is_order_acknowledged
from retailer.channel
