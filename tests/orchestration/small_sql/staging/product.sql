select
    system_code,
    product_external_id,
    sku,
    name,
    weight_g
from canonical.product
where not _is_deleted
