select
    parity_group_code,
    channel_code
from retailer.parity_group
