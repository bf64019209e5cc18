"""The jobs: what a night, an hour and an arriving file do."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from assets.names import read_step

NIGHTLY_FULL, HOURLY_INCREMENTAL = "nightly_full", "hourly_incremental"


def full_config(system_codes: Iterable[str]) -> dict[str, object]:
    """Run configuration that reads these systems whole."""
    return {"ops": {read_step(code): {"config": {"full": True}} for code in system_codes}}


def jobs(system_codes: Iterable[str]) -> list[dg.UnresolvedAssetJobDefinition]:
    """Both jobs run everything; they differ in how much they read of the systems (those that have streams)."""
    return [
        dg.define_asset_job(
            NIGHTLY_FULL,
            selection=dg.AssetSelection.all(),
            config=full_config(system_codes),
            executor_def=dg.in_process_executor,
            description="Read every system whole, so that deletes and changes no cursor shows are seen; rebuild and publish.",
            tags={"etalon/mode": "full"},
        ),
        dg.define_asset_job(
            HOURLY_INCREMENTAL,
            selection=dg.AssetSelection.all(),
            executor_def=dg.in_process_executor,
            description="Read what changed since the last complete reading; rebuild and publish.",
            tags={"etalon/mode": "incremental"},
        ),
    ]
