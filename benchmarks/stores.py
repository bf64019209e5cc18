"""The product's own stores and connectors, opened in a folder for one reading. Nothing is measured here."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.machine import ROOT
from resources.connectors.registry import build_connector
from resources.connectors.sdk.stream import Connector
from resources.extract import Manifest, run_extract
from resources.landing import Landing
from resources.operations import Operations
from resources.privacy import PiiStore, Sealer, Tokeniser
from resources.retailer import Retailer, load_retailer

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)
_SECRET_KEY = b"benchmarks keep no secret at all"
VARIABLES = {
    "ETALON_DROPS": "drops",
    "ETALON_SHOP_FR_URL": "http://127.0.0.1:1",
    "ETALON_SHOP_FR_KEY": "none",
    "ETALON_SHOP_BE_URL": "http://127.0.0.1:1",
    "ETALON_SHOP_BE_KEY": "none",
    "ETALON_SHOP_BE_SECRET": "none",
    "ETALON_SHOP_BE_WEBHOOK_SECRET": "none",
}
"""What retailer.yaml asks of the environment, pointing nowhere."""


def demo_retailer(variables: Mapping[str, str] | None = None) -> Retailer:
    """The retailer of retailer.yaml, its shops at the addresses and keys in ``variables``."""
    return load_retailer(ROOT / "retailer.yaml", {**VARIABLES, **(variables or {})})


def connector_of(retailer: Retailer, system_code: str, **changes: Any) -> Connector:
    """A system's connector as a run builds it; ``changes`` replace what retailer.yaml says of the system."""
    system = retailer.system(system_code).model_copy(update=changes)
    return build_connector(system, retailer=retailer, tokeniser=Tokeniser(_SECRET_KEY), clock=lambda: NOW)


def read_into(folder: Path, connector: Connector, stream_name: str) -> Manifest:
    """One full reading of a stream with everything a run does: contracts, landing, quarantine, manifest.

    Raises RuntimeError when it is not complete, since then its cost says nothing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    operations, landing, pii = open_stores(folder)
    stream = next(stream for stream in connector.streams() if stream.name == stream_name)
    manifest = run_extract(
        connector, stream, operations=operations, landing=landing, pii=pii, full=True, now=NOW, run_id="benchmark"
    )
    operations.close()
    if manifest.outcome != "complete":
        raise RuntimeError(f"{stream_name}: {manifest.outcome}: {manifest.error}")
    return manifest


def open_stores(folder: Path) -> tuple[Operations, Landing, PiiStore]:
    """New stores in a folder."""
    sealer = Sealer(_SECRET_KEY)
    operations = Operations.open(f"sqlite:///{folder / 'operations.sqlite'}", data_dir=folder)
    return operations, Landing(folder, sealer), PiiStore(folder / "pii.sqlite", sealer)


def told(manifest: Manifest) -> dict[str, Any]:
    """What a manifest says, for the table's foot."""
    return {
        "announced": manifest.announced_qty,
        "landed": manifest.landed_qty,
        "quarantined": manifest.quarantined_qty,
        "received MB": round(manifest.bytes / 1e6),
        **{f"{entity} rows": qty for entity, qty in manifest.entity_rows.items()},
    }
