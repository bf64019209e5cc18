select
    channel_code,
    subject,
    attribute,
    external_id,
    product_id,
    sku,
    reason,
    before_value,
    after_value,
    units_at_risk,
    value_at_risk_minor,
    currency_code,
    observed_at,
    work_rank
from channels.unwritable
