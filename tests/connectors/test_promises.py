"""The promises of every connector (conformance.py), on its recorded shop."""

from __future__ import annotations

from tests.connectors.conformance import promises
from tests.connectors.recorded_prestashop import RecordedPrestaShop
from tests.connectors.recorded_woocommerce import RecordedWooCommerce

TestPrestaShop = promises("prestashop", shop=RecordedPrestaShop, page_sizes=(7, 50))
TestWooCommerce = promises("woocommerce", shop=RecordedWooCommerce, page_sizes=(7, 50))
