"""Assets of orders that go out to a system as files: what the main job exports, and the transmission that sends it.

Belongs here: turning one transmission into metadata and a check. Sending is `resources.orders_out`.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import polars as pl

from assets.freshness import FRESHNESS
from assets.names import TRANSMISSION, WRITER_POOL, model_key, sync_key
from assets.progress import Progress
from assets.runtime import Runtime
from assets.sql_models import OWNER, markdown_table
from resources.errors import PermanentError, RetryableError
from resources.orders_out import OutFolder, load_messages, read_export, transmit, write_export
from resources.orders_out import exported as tables
from resources.retailer import FilesSystem

EXPORT, ORDERS = "orders_to_send", "orders"
NONE_FAILED = "none_failed"
RETRIES, RETRY_WAIT_S = 3, 30
"""A folder that is full or gone for a moment: what is sent is sent once, however often this runs."""
_SHOWN = 20
_MODELS = ("channels.order_to_send", "channels.order_to_send_line")
_READS = (*_MODELS, "referentials.order_acknowledgement", "referentials.sales_order")

QUERIES = {
    tables.ORDERS: """
        select
            o.order_id, o.system_code, o.order_external_id, o.channel_code, o.order_number, o.ordered_at, o.payable_at,
            o.promised_ship_by_at, o.fulfilment_method, coalesce(o.location_code, c.ships_from_code) as location_code,
            o.country_code, o.currency_code, o.shipping_minor, o.fee_minor, o.discount_minor, o.total_minor
        from channels.order_to_send as o
        inner join retailer.channel as c on o.channel_code = c.channel_code
        order by o.ordered_at, o.order_id""",
    tables.LINES: """
        select order_id, line_id, sku, name, quantity, net_minor, tax_minor
        from channels.order_to_send_line order by order_id, line_id""",
    tables.ANSWERS: """
        select
            a.channel_code, a.order_number, o.system_code, o.order_external_id, a.acknowledged_at, a.is_accepted,
            a.refusal_reason
        from referentials.order_acknowledgement as a
        left join referentials.sales_order as o
            on a.channel_code = o.channel_code and a.order_number = o.order_number
        order by a.channel_code, a.order_number""",
    tables.CANCELLED: """
        select o.channel_code, o.order_number, min(coalesce(o.cancelled_at, o.ordered_at)) as cancelled_at
        from referentials.sales_order as o
        where o.status = 'cancelled' or o.cancelled_at is not null
        group by o.channel_code, o.order_number""",
}
"""What each exported table holds; columns as in `resources.orders_out.exported`."""


def sending_systems(runtime: Runtime) -> list[FilesSystem]:
    """Systems that get orders."""
    return [system for system in runtime.retailer.systems if isinstance(system, FilesSystem) and system.sends]


def order_assets(runtime: Runtime) -> list[dg.AssetsDefinition]:
    """Per system that gets orders: the export and the transmission. None where the SQL project has no model of what to send."""
    if not all(name in runtime.project.models for name in _MODELS):
        return []
    made = []
    for system in sending_systems(runtime):
        made += [_export(runtime, system), _transmission(runtime, system)]
    return made


def transmission_keys(runtime: Runtime) -> list[dg.AssetKey]:
    """Assets of the transmissions: they are a job of their own, which never opens the warehouse."""
    return [key for asset in order_assets(runtime) for key in asset.keys if key.path[-1] == ORDERS]


def _export(runtime: Runtime, system: FilesSystem) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"export_orders_{system.code}",
        specs=[
            dg.AssetSpec(
                sync_key(system.code, EXPORT),
                deps=[model_key(*name.split(".")) for name in _READS],
                group_name=TRANSMISSION,
                description=f"Orders that **{system.code}** does not know yet, its answers, and cancellations, as files for the "
                "transmission: it never opens the warehouse.",
                kinds={"parquet"},
                owners=[OWNER],
                freshness_policy=FRESHNESS,
            )
        ],
        pool=WRITER_POOL,
    )
    def export_orders(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        runtime.report(Progress(f"export_orders_{system.code}", "", 0, 1))
        with runtime.writer(f"orders for {system.code}") as con:
            frames: dict[str, pl.DataFrame] = {name: con.sql(query).pl() for name, query in QUERIES.items()}
        write_export(runtime.settings.channels_dir, frames, export_id=context.run.run_id)
        yield dg.MaterializeResult(
            metadata={
                "dagster/row_count": frames[tables.ORDERS].height,
                **{name.replace("_", " "): frame.height for name, frame in frames.items()},
            }
        )

    return export_orders


def _transmission(runtime: Runtime, system: FilesSystem) -> dg.AssetsDefinition:
    key = sync_key(system.code, ORDERS)

    @dg.multi_asset(
        name=f"send_orders_{system.code}",
        specs=[
            dg.AssetSpec(
                key,
                deps=[sync_key(system.code, EXPORT)],
                group_name=TRANSMISSION,
                description=f"Web orders sent to **{system.code}** as files ({', '.join(system.sends)}), each order once; what it "
                "answered is taken in. `etalon orders list` shows each order's state.",
                kinds={"xml"},
                owners=[OWNER],
                tags={"etalon/system": system.code},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                NONE_FAILED,
                asset=key,
                description="Every order could be sent: it holds what the message demands, and its number is its own.",
            )
        ],
        pool=f"target_{system.code}",
    )
    def send_orders(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        runtime.report(Progress(f"send_orders_{system.code}", "", 0, 1))
        yield _sent(runtime, system, key, run_id=context.run.run_id)

    return send_orders


def _sent(runtime: Runtime, system: FilesSystem, key: dg.AssetKey, *, run_id: str) -> dg.MaterializeResult[None]:
    """Transmit every message of the system, one after the other."""
    export = read_export(runtime.settings.channels_dir)
    declared = load_messages()
    out = OutFolder(system.code, Path(str(system.out_folder)))
    try:
        summaries = [
            transmit(
                declared[name],
                out,
                export.since(system.sends_since),
                operations=runtime.operations,
                lock_dir=runtime.settings.data_dir / "locks",
                clock=runtime.settings.clock(),
                run_id=run_id,
            )
            for name in system.sends
        ]
    except RetryableError as error:
        raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_WAIT_S) from error
    except PermanentError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    failed = [(order, reason) for summary in summaries for order, reason in summary.failed]
    counts = runtime.operations.order_messages.counts(system.code)
    return dg.MaterializeResult(
        asset_key=key,
        metadata={
            "files": dg.MetadataValue.json([name for summary in summaries for name in summary.files]),
            "sent": sum(summary.sent_qty for summary in summaries),
            "files finished after a crash": sum(summary.finished_qty for summary in summaries),
            "acknowledged": sum(summary.acknowledged_qty for summary in summaries),
            "refused": sum(summary.refused_qty for summary in summaries),
            "cancelled after they were sent": sum(summary.cancelled_qty for summary in summaries),
            "dagster/row_count": sum(counts.values()),
            "orders by state": dg.MetadataValue.md(
                markdown_table(
                    ("state", "orders"), sorted((state, quantity) for (_, state), quantity in counts.items())
                )
            ),
        },
        check_results=[
            dg.AssetCheckResult(
                passed=not failed,
                asset_key=key,
                check_name=NONE_FAILED,
                severity=dg.AssetCheckSeverity.WARN,
                metadata={
                    "failed": len(failed),
                    "first": dg.MetadataValue.md(
                        markdown_table(
                            ("channel", "order", "reason"),
                            [(order.channel_code, order.order_number, reason) for order, reason in failed[:_SHOWN]],
                        )
                    ),
                },
            )
        ],
    )
