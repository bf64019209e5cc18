"""The jobs: what a night, an hour and an arriving file do."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dagster as dg

from assets.names import FULL, INCREMENTAL, MODE_TAG, TRANSMISSION, read_step

NIGHTLY_FULL, HOURLY_INCREMENTAL = "nightly_full", "hourly_incremental"
ORDER_TRANSMISSION = TRANSMISSION
CHANNEL_SYNC = "channel_sync"
READ_HISTORY = "read_history"


def full_config(system_codes: Iterable[str]) -> dict[str, object]:
    """Run configuration that reads these systems whole."""
    return {"ops": {read_step(code): {"config": {"full": True}} for code in system_codes}}


def order_job(keys: Sequence[dg.AssetKey]) -> dg.UnresolvedAssetJobDefinition:
    """The job that sends orders to systems; ``keys``: their assets."""
    return _job_apart(
        ORDER_TRANSMISSION,
        keys,
        "Send web orders to the systems that get them as files, and take in what these answered. Never opens the "
        "warehouse, so it runs beside anything.",
    )


def channel_job(keys: Sequence[dg.AssetKey]) -> dg.UnresolvedAssetJobDefinition:
    """The job that plans and writes channels; ``keys``: their plans and receipts."""
    return _job_apart(
        CHANNEL_SYNC,
        keys,
        "Plan what each channel needs, hold what goes over a guard, write the rest and read it back. Never opens the "
        "warehouse, so it runs beside anything.",
    )


def history_job(keys: Sequence[dg.AssetKey]) -> dg.UnresolvedAssetJobDefinition:
    """The job that reads periods of streams; ``keys``: their assets, all of the same days."""
    return _job_apart(
        READ_HISTORY,
        keys,
        "Read days of streams, chosen one by one or as a backfill of many. Never opens the warehouse, so it runs beside "
        "anything; the next run of the main job loads what it read.",
    )


def _job_apart(name: str, keys: Sequence[dg.AssetKey], description: str) -> dg.UnresolvedAssetJobDefinition:
    """A job of some assets that the main jobs leave out."""
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*keys),
        executor_def=dg.in_process_executor,
        description=description,
    )


def jobs(system_codes: Iterable[str], *, apart: Sequence[dg.AssetKey] = ()) -> list[dg.UnresolvedAssetJobDefinition]:
    """Both jobs run everything but ``apart``, which has jobs of its own; they differ in how much they read of the systems (those that
    have streams).
    """
    everything = dg.AssetSelection.all() - dg.AssetSelection.assets(*apart)
    return [
        dg.define_asset_job(
            NIGHTLY_FULL,
            selection=everything,
            config=full_config(system_codes),
            executor_def=dg.in_process_executor,
            description="Read every system whole, so that deletes and changes no cursor shows are seen; rebuild and publish.",
            tags={MODE_TAG: FULL},
        ),
        dg.define_asset_job(
            HOURLY_INCREMENTAL,
            selection=everything,
            executor_def=dg.in_process_executor,
            description="Read what changed since the last complete reading; build what that changes, and publish.",
            tags={MODE_TAG: INCREMENTAL},
        ),
    ]
