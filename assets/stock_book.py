"""Assets of the fast lane: the stock book that the main job leaves for it, and what the worker tells of its own work.

The book is the main job's; what the worker did is reported by the worker, outside of any run. Belongs here: both as assets.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

from collections.abc import Iterator, Mapping, Sequence
from statistics import quantiles
from typing import Any

import dagster as dg

from assets.freshness import FRESHNESS
from assets.names import SYNC, WRITER_POOL, model_key, sync_key
from assets.progress import Progress
from assets.runtime import Runtime
from assets.sql_models import OWNER, markdown_table
from resources.connectors.sdk.writing import WritingConnector
from resources.fast_lane.lane import Counts
from resources.fast_lane.snapshot import export, folder_of
from resources.retailer import Channel

FAST_LANE = "fast_lane"
STOCK_BOOK = dg.AssetKey([SYNC, "stock_book"])
_GROUP = "fast_lane"
_MODELS = (
    "kpis.k1b_listing",
    "referentials.unacknowledged_line",
    "referentials.stock_level",
    "referentials.order_acknowledgement",
    "referentials.product_xref",
    "staging.master_product",
)


def stock_book_assets(runtime: Runtime) -> list[dg.AssetsDefinition]:
    """The book, and one asset per channel that the fast lane writes to. None where the lane is off, or the models are not there."""
    if not runtime.retailer.fast_lane.is_on or not all(name in runtime.project.models for name in _MODELS):
        return []
    told = [_lane_spec(channel) for channel in lane_channels(runtime)]
    return [_book(runtime), *([dg.AssetsDefinition(specs=told)] if told else [])]


def lane_channels(runtime: Runtime) -> list[Channel]:
    """Channels that the fast lane writes to."""
    return [
        channel
        for channel in runtime.retailer.channels
        if channel.kind == "web" and isinstance(runtime.connectors.get(channel.system), WritingConnector)
    ]


def lane_key(channel_code: str) -> dg.AssetKey:
    """Asset of what the fast lane did for a channel."""
    return sync_key(channel_code, FAST_LANE)


def _book(runtime: Runtime) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name="export_stock_book",
        specs=[
            dg.AssetSpec(
                STOCK_BOOK,
                deps=[model_key(*name.split(".")) for name in _MODELS],
                group_name=_GROUP,
                description="What the fast lane needs of the warehouse, as files: positions, orders the master does not know, listings, "
                "kits and names of products. The worker counts from here on.",
                kinds={"parquet"},
                owners=[OWNER],
                freshness_policy=FRESHNESS,
            )
        ],
        pool=WRITER_POOL,
    )
    def export_stock_book(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        runtime.report(Progress("export_stock_book", "", 0, 1))
        with runtime.writer("stock book") as con:
            snapshot = export(con, runtime.settings.data_dir)
        # What this run read of a stream answers every hint that was older than the reading.
        answered = sum(
            runtime.operations.hints.covered(
                manifest.system_code,
                manifest.stream,
                read_from_at=manifest.watermark_at,
                now=runtime.settings.clock()(),
            )
            for manifest in runtime.operations.manifests(run_id=context.run.run_id, with_hints=False)
            if manifest.outcome == "complete" and manifest.watermark_at is not None
        )
        rows = [(name, frame.height) for name, frame in snapshot.tables.items()]
        yield dg.MaterializeResult(
            asset_key=STOCK_BOOK,
            metadata={
                "path": dg.MetadataValue.path(str(folder_of(runtime.settings.data_dir) / snapshot.version)),
                "as of": snapshot.as_of_at.isoformat(),
                "dagster/row_count": sum(quantity for _, quantity in rows),
                "tables": dg.MetadataValue.md(markdown_table(("table", "rows"), rows)),
                "hints answered": answered,
            },
        )

    return export_stock_book


def _lane_spec(channel: Channel) -> dg.AssetSpec:
    return dg.AssetSpec(
        lane_key(channel.code),
        deps=[STOCK_BOOK],
        group_name=_GROUP,
        description=f"Quantities that the fast lane wrote to **{channel.name}** after sales, told every few seconds by `etalon worker`.",
        kinds={"worker"},
        owners=[OWNER],
        tags={"etalon/system": channel.system},
    )


def lane_materialization(channel_code: str, counts: Counts, *, stopped: str | None) -> dg.AssetMaterialization:
    """What the lane did for a channel in the last seconds, as an event outside of any run."""
    metadata: dict[str, Any] = {
        "put": counts.written,
        **_prefixed("", counts.outcomes),
        **_prefixed("left: ", counts.skipped),
    }
    if counts.latencies_s:
        p50, p95 = _percentiles(counts.latencies_s)
        metadata |= {"p50 s": round(p50, 3), "p95 s": round(p95, 3), "longest s": round(max(counts.latencies_s), 3)}
    if stopped is not None:
        metadata["stopped"] = stopped
    return dg.AssetMaterialization(lane_key(channel_code), metadata=metadata)


def _prefixed(prefix: str, counts: Mapping[str, int]) -> dict[str, int]:
    return {f"{prefix}{name.replace('_', ' ')}": quantity for name, quantity in sorted(counts.items())}


def _percentiles(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    cuts = quantiles(values, n=20, method="inclusive")
    return cuts[9], cuts[18]
