select
    location_code,
    product_id,
    on_hand_qty,
    committed_qty,
    reserved_qty,
    damaged_qty,
    unacknowledged_qty,
    available_qty,
    proof
from referentials.stock_position
