"""WooCommerce, REST API v3: read and written. What each file holds is said at its top; `build` is what the registry calls."""

from resources.connectors.woocommerce.connector import KIND, WooCommerceConnector, build
from resources.connectors.woocommerce.streams import STREAMS

__all__ = ["KIND", "STREAMS", "WooCommerceConnector", "build"]
