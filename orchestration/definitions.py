"""What Dagster loads: every asset, check, job, schedule and sensor of one retailer, built by a pure function.

Belongs here: putting the parts together. No part is defined here.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from assets.channels import channel_assets, sync_keys, written_channels
from assets.impact import AssetImpact
from assets.kpis import kpi_assets
from assets.operations import operations_assets
from assets.orders import order_assets, transmission_keys
from assets.periods import period_assets
from assets.publication import PublicationStep, publication_assets
from assets.referentials import referential_assets
from assets.runtime import Runtime, build_runtime
from assets.sources import source_assets
from assets.stock_book import stock_book_assets
from orchestration.decisions import decision_jobs
from orchestration.housekeeping import housekeeping_job
from orchestration.jobs import channel_job, history_job, jobs, order_job
from orchestration.news import news_sensors
from orchestration.retries import retries_sensor
from orchestration.schedules import schedules
from orchestration.sensors import GAP_S, WatchedFolder, file_arrival_sensor
from orchestration.watch import incidents_sensor
from resources.connectors.sdk.feed import load_feeds
from resources.retailer import FilesSystem
from resources.settings import Settings


def build_definitions(runtime: Runtime, *, publications: Sequence[PublicationStep] | None = None) -> dg.Definitions:
    """All definitions of the retailer in ``runtime``. Opens no file, no database and no connection.

    Schedules and sensors start running under `etalon up`, and stopped elsewhere: there a person turns them on.

    ``publications``: what is published; everything by default.
    """
    sent_apart = transmission_keys(runtime)
    synced_apart = sync_keys(runtime)
    folders = {system.code: watched(system) for system in runtime.retailer.systems if isinstance(system, FilesSystem)}
    is_service = runtime.settings.is_service
    assets = pipeline_assets(runtime, publications)
    by_period = period_assets(runtime)
    history = [key for definition in by_period for key in definition.keys]
    impact = AssetImpact(assets)
    return dg.Definitions(
        assets=[*assets, *by_period, *operations_assets(runtime, impact)],
        jobs=[
            *jobs(
                (code for code, connector in runtime.connectors.items() if connector.streams()),
                apart=[*sent_apart, *synced_apart, *history],
            ),
            *([history_job(history)] if history else []),
            *([order_job(sent_apart)] if sent_apart else []),
            *([channel_job(synced_apart), *decision_jobs(runtime)] if synced_apart else []),
            housekeeping_job(runtime),
        ],
        schedules=schedules(runtime.retailer, is_running=is_service),
        sensors=[
            *([file_arrival_sensor(folders, is_running=is_service, gap_s=GAP_S)] if folders else []),
            incidents_sensor(runtime, impact, is_running=is_service),
            *([_retries_sensor(runtime)] if synced_apart else []),
            *news_sensors((key for asset in assets for key in asset.keys), is_running=is_service),
        ],
        executor=dg.in_process_executor,
    )


def _retries_sensor(runtime: Runtime) -> dg.SensorDefinition:
    channels: dict[str, list[str]] = {}
    for channel in written_channels(runtime):
        channels.setdefault(channel.system, []).append(channel.code)
    return retries_sensor(
        channels,
        lambda: runtime.operations,
        clock=runtime.settings.clock(),
        is_running=runtime.settings.is_service,
    )


def pipeline_assets(
    runtime: Runtime, publications: Sequence[PublicationStep] | None = None
) -> list[dg.AssetsDefinition]:
    """Every asset but those that watch over the others."""
    return [
        *source_assets(runtime),
        *referential_assets(runtime),
        *kpi_assets(runtime),
        *order_assets(runtime),
        *channel_assets(runtime),
        *stock_book_assets(runtime),
        *publication_assets(runtime, publications),
    ]


def asset_impact(runtime: Runtime) -> AssetImpact:
    """What a trouble touches downstream, for who is no part of the definitions: commands and workers."""
    return AssetImpact(pipeline_assets(runtime))


def watched(system: FilesSystem) -> WatchedFolder:
    """What the sensor looks at in the folder of a file system: markers, and the files of feeds that have none."""
    declared = load_feeds()
    feeds = [declared[name] for name in system.feeds if name in declared]
    without_marker = [feed for feed in feeds if (feed.pick_up or system.pickup.by) == "stable_size"]
    return WatchedFolder(
        system.folder,
        patterns=tuple(f"{feed.prefix}_*.{feed.extension}" for feed in without_marker),
        stable_s=system.pickup.stable_s,
    )


@dg.definitions
def defs() -> dg.Definitions:
    """The definitions of this machine: settings come from the environment, the retailer from its retailer.yaml."""
    return build_definitions(build_runtime(Settings.from_environment(os.environ, Path.cwd())))
