select
    product_id,
    sku,
    gtin,
    name as product_name,
    brand,
    category_code,
    kind as product_kind,
    is_stock_tracked,
    is_active,
    tax_rate_bp,
    weight_g
from referentials.product
