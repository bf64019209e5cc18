"""PrestaShop 8, Webservice: the read side. What each file holds is said at its top; `build` is what the registry calls."""

from resources.connectors.prestashop.connector import KIND, PrestaShopConnector, build
from resources.connectors.prestashop.streams import STREAMS

__all__ = ["KIND", "STREAMS", "PrestaShopConnector", "build"]
