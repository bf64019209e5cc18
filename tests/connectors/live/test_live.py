"""Point the promises at a live shop: `make live SYSTEM=prestashop`. Skipped without an address and a key in the environment.

ETALON_LIVE_PRESTASHOP_URL, _KEY; ETALON_LIVE_WOOCOMMERCE_URL, _KEY, _SECRET; for both, if they are not Europe/Paris and FR:
ETALON_LIVE_TIME_ZONE, ETALON_LIVE_TERRITORY. Nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest

from resources.connectors import prestashop, woocommerce
from resources.connectors.sdk.stream import Connector
from tests.connectors.conformance import assert_orders_add_up, assert_stream_keeps_its_promises
from tests.connectors.support import TOKENISER, retailer, system

KINDS = {"prestashop": (prestashop, ("URL", "KEY")), "woocommerce": (woocommerce, ("URL", "KEY", "SECRET"))}
STREAMS = [
    *[("prestashop", stream.name) for stream in prestashop.STREAMS],
    *[("woocommerce", stream.name) for stream in woocommerce.STREAMS],
]


def live_connector(kind: str, environ: Mapping[str, str]) -> Connector:
    """The connector of the shop that the environment names; skips when it names none."""
    module, names = KINDS[kind]
    values = {name.lower(): environ.get(f"ETALON_LIVE_{kind.upper()}_{name}", "") for name in names}
    missing = [f"ETALON_LIVE_{kind.upper()}_{name.upper()}" for name, value in values.items() if not value]
    if missing:
        pytest.skip(f"no live {kind}: set {', '.join(missing)}")
    declared = system(
        kind,
        **values,
        time_zone=environ.get("ETALON_LIVE_TIME_ZONE", "Europe/Paris"),
        page_size=100,
        workers=4,
        timeout_s=60.0,
        requests_per_second=10.0,
    )
    territory = environ.get("ETALON_LIVE_TERRITORY", "FR")
    connector: Connector = module.build(
        declared, retailer=retailer(territory), tokeniser=TOKENISER, clock=lambda: datetime.now(UTC)
    )
    return connector


@pytest.mark.parametrize(("kind", "stream"), STREAMS)
def test_stream(kind: str, stream: str) -> None:
    connector = live_connector(kind, os.environ)
    found = assert_stream_keeps_its_promises(connector, stream, now=datetime.now(UTC))
    if stream == "orders":
        most_lines = 100
        assert_orders_add_up(found, tolerance_minor=most_lines)


@pytest.mark.parametrize("kind", list(KINDS))
def test_access(kind: str) -> None:
    for check in live_connector(kind, os.environ).check_access():
        assert check.is_ok or check.subject == "write", check.detail
