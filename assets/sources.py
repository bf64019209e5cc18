"""Assets of what is read: per system one step, per stream one asset and its check `complete`.

Belongs here: turning a manifest into metadata and a check. Reading itself is `resources.extract`.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

from collections.abc import Iterator

import dagster as dg

from assets.freshness import FRESHNESS
from assets.names import SOURCES, read_step, stream_key
from assets.progress import Progress
from assets.runtime import Runtime
from resources.connectors.sdk.stream import Connector, Stream
from resources.operations import Manifest
from resources.retailer import SystemConfig

COMPLETE = "complete"
OWNER = "team:integration"

_CHANGES = {
    "updated_at": "a cursor on the time of last change",
    "full_snapshot": "nothing shows a change: everything is read and compared",
    "files": "each file is read once",
}


_COMPLETE = (
    "Rows announced by the source = rows landed + rows in quarantine, and no file is missing or refused. An incomplete "
    "reading is not loaded (of file feeds: the refused files are not), its cursor stays, and the run goes on with the last "
    "complete data."
)


class ReadConfig(dg.Config):
    """How a system is read: everything again, or what changed since the last complete reading."""

    full: bool = False


def source_assets(runtime: Runtime) -> list[dg.AssetsDefinition]:
    """One multi-asset per system of retailer.yaml; its outputs are the system's streams."""
    return [
        _system_assets(runtime, system, runtime.connectors[system.code])
        for system in runtime.retailer.systems
        if runtime.connectors[system.code].streams()
    ]


def _system_assets(runtime: Runtime, system: SystemConfig, connector: Connector) -> dg.AssetsDefinition:
    streams = {stream_key(system.code, stream.name): stream for stream in connector.streams()}

    @dg.multi_asset(
        name=read_step(system.code),
        specs=[_spec(system, key, stream) for key, stream in streams.items()],
        check_specs=[
            dg.AssetCheckSpec(
                COMPLETE,
                asset=key,
                description=_COMPLETE,
            )
            for key in streams
        ],
        can_subset=True,
        description=f"Read {system.code} ({system.kind}).",
        op_tags={"etalon/system": system.code},
    )
    def read_system(context: dg.AssetExecutionContext, config: ReadConfig) -> Iterator[dg.MaterializeResult[None]]:
        # Streams are read in declared order: those that others refer to come first.
        selected = [(key, stream) for key, stream in streams.items() if key in context.selected_asset_keys]
        for number, (key, stream) in enumerate(selected):
            runtime.report(Progress(read_step(system.code), stream.name, number, len(selected)))
            manifest = runtime.extract(connector, stream, full=config.full, run_id=context.run.run_id)
            if manifest.error:
                context.log.error(f"{system.code}.{stream.name}: {manifest.error}")
            yield dg.MaterializeResult(
                asset_key=key, metadata=manifest_metadata(manifest), check_results=[_complete(key, manifest)]
            )

    return read_system


def _spec(system: SystemConfig, key: dg.AssetKey, stream: Stream) -> dg.AssetSpec:
    blind = "".join(f"\n- {spot}" for spot in stream.blind_spots)
    description = f"`{stream.path}` of **{system.code}**; feeds {', '.join(stream.entities)}." + (
        f"\n\nWhat it cannot see:{blind}" if blind else ""
    )
    return dg.AssetSpec(
        key,
        group_name=SOURCES,
        description=description,
        kinds={system.kind},
        owners=[OWNER],
        tags={"etalon/system": system.code, "etalon/role": system.role},
        freshness_policy=FRESHNESS,
        metadata={
            "path": stream.path,
            "keys": ", ".join(stream.keys),
            "changes": _CHANGES[stream.change_tracking],
            "shows deletes": stream.shows_deletes,
            "personal data": stream.has_personal_data,
            "blind spots": dg.MetadataValue.md(blind.strip() or "none known"),
        },
    )


def manifest_metadata(manifest: Manifest) -> dict[str, dg.MetadataValue]:
    """What a reading announced, landed and refused, as asset metadata; times in UTC, duration in seconds."""
    metadata: dict[str, dg.MetadataValue] = {
        "outcome": dg.MetadataValue.text(manifest.outcome),
        "announced": _count(manifest.announced_qty),
        "landed": dg.MetadataValue.int(manifest.landed_qty),
        "quarantined": dg.MetadataValue.int(manifest.quarantined_qty),
        "dagster/row_count": dg.MetadataValue.int(manifest.landed_qty),
        "bytes": dg.MetadataValue.int(manifest.bytes),
        "seconds": dg.MetadataValue.float(round(manifest.duration_s, 3)),
        "extract": dg.MetadataValue.text(manifest.extract_id),
        "canonical rows": dg.MetadataValue.md(
            "| entity | rows |\n|---|---:|\n"
            + "\n".join(f"| {entity} | {rows} |" for entity, rows in sorted(manifest.entity_rows.items()))
        ),
    }
    if manifest.since_at is not None:
        metadata["since"] = dg.MetadataValue.timestamp(manifest.since_at)
    if manifest.watermark_at is not None:
        metadata["watermark"] = dg.MetadataValue.timestamp(manifest.watermark_at)
    if manifest.error:
        metadata["error"] = dg.MetadataValue.text(manifest.error)
    return metadata


def _complete(key: dg.AssetKey, manifest: Manifest) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=manifest.outcome == "complete",
        asset_key=key,
        check_name=COMPLETE,
        severity=dg.AssetCheckSeverity.ERROR,
        description=manifest.error or None,
        metadata={
            "announced": _count(manifest.announced_qty),
            "landed": manifest.landed_qty,
            "quarantined": manifest.quarantined_qty,
        },
    )


def _count(quantity: int | None) -> dg.MetadataValue:
    return dg.MetadataValue.text("not announced") if quantity is None else dg.MetadataValue.int(quantity)
