"""Point the promises at a live shop: `make live SYSTEM=prestashop`. Skipped without an address and a key in the environment.

The shop is declared by variables: ETALON_LIVE_<KIND>_<KEY> is a key of the system's block in retailer.yaml (docs/retailer.md), so
ETALON_LIVE_PRESTASHOP_URL, _KEY; ETALON_LIVE_WOOCOMMERCE_URL, _KEY, _SECRET. Where they are not Europe/Paris and FR, also
ETALON_LIVE_<KIND>_TIME_ZONE and ETALON_LIVE_<KIND>_TERRITORY. Every kind of shop that is there is known here. Nothing is written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from resources.connectors.registry import build_connector, connector_modules
from resources.connectors.sdk.stream import Connector
from resources.retailer.systems import SystemConfig, config_model
from tests.connectors.conformance import assert_orders_add_up, assert_stream_keeps_its_promises
from tests.connectors.support import TOKENISER, retailer

pytestmark = pytest.mark.live

OURS = {"code": "shop", "role": "storefront", "company": "live", "channel": "web", "time_zone": "Europe/Paris"}
MODELS: dict[str, type[SystemConfig]] = {
    kind: model
    for kind in sorted(connector_modules())
    if (model := config_model(kind)) is not None and "url" in model.model_fields
}


def declared(kind: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The keys of the system's block that the environment gives."""
    named = {key: f"ETALON_LIVE_{kind.upper()}_{key.upper()}" for key in MODELS[kind].model_fields}
    return {key: environ[name] for key, name in named.items() if environ.get(name)}


def missing_variables(kind: str, environ: Mapping[str, str]) -> list[str]:
    """Variables without which there is no shop to read."""
    given = {"kind", *OURS, *declared(kind, environ)}
    required = [key for key, field in MODELS[kind].model_fields.items() if field.is_required()]
    return [f"ETALON_LIVE_{kind.upper()}_{key.upper()}" for key in required if key not in given]


def connector_of(kind: str, values: Mapping[str, str], *, territory: str = "FR") -> Connector:
    """The connector of a shop, declared as retailer.yaml would: what is not given has its default."""
    block: dict[str, Any] = {**OURS, "kind": kind, **values}
    return build_connector(
        MODELS[kind](**block), retailer=retailer(territory), tokeniser=TOKENISER, clock=lambda: datetime.now(UTC)
    )


def stream_names(kind: str) -> list[str]:
    """The streams of a kind; asks no shop."""
    stand_in = {key: "x" for key, field in MODELS[kind].model_fields.items() if field.is_required()} | {"kind": kind}
    values = {key: value for key, value in stand_in.items() if key not in OURS} | {"url": "https://shop.example"}
    return [stream.name for stream in connector_of(kind, values).streams()]


def live_connector(kind: str) -> Connector:
    """The connector of the shop that the environment names; skips when it names none."""
    missing = missing_variables(kind, os.environ)
    if missing:
        pytest.skip(f"no live {kind}: set {', '.join(missing)}")
    territory = os.environ.get(f"ETALON_LIVE_{kind.upper()}_TERRITORY", "FR")
    return connector_of(kind, declared(kind, os.environ), territory=territory)


@pytest.mark.parametrize(("kind", "stream"), [(kind, stream) for kind in MODELS for stream in stream_names(kind)])
def test_stream(kind: str, stream: str) -> None:
    connector = live_connector(kind)
    found = assert_stream_keeps_its_promises(connector, stream, now=datetime.now(UTC))
    if stream == "orders":
        most_lines = 100
        assert_orders_add_up(found, tolerance_minor=most_lines)


@pytest.mark.parametrize("kind", list(MODELS))
def test_access(kind: str) -> None:
    for check in live_connector(kind).check_access():
        assert check.is_ok is not False, f"{check.subject}: {check.detail}"
