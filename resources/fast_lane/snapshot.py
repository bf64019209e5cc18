"""The stock book as files: what the fast lane needs of the warehouse, written by the main job and read by the worker.

Layout under the data folder::

    fast_lane/<version>/<table>.parquet      one folder per snapshot, never changed once it is named
    fast_lane/current.json                   which one holds; replaced by a rename

Belongs here: the tables, writing and reading them. What they mean together is `book`.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from resources.errors import PermanentError, Where

if TYPE_CHECKING:
    import duckdb

FORMAT = 1
"""Version of the tables: a worker leaves a snapshot of another format alone and says so."""

KNOWN_DAYS, KNOWN_TICKET_DAYS = 90, 7
"""How far back orders (tickets) are known to the snapshot. What is older is left to the main job."""

KEPT = 3
"""Snapshots that stay: a reader that has just learnt a version must still find its files."""

_INSTANT = pl.Datetime("us", "UTC")

TABLES: Mapping[str, str] = {
    # What the master holds, term by term; on hand net of committed and reserved has none of them.
    "position": """
        select
            location_code, product_id, on_hand_qty,
            case when is_net then 0 else committed_qty end as committed_qty,
            case when is_net then 0 else reserved_qty end as reserved_qty,
            damaged_qty, as_of_at
        from referentials.stock_level
        order by location_code, product_id""",
    # Units that the snapshot counts as sold and not known by the master, by the order they belong to.
    "open_line": """
        select
            orders.system_code, orders.order_external_id, open_lines.location_code, open_lines.product_id,
            cast(sum(open_lines.quantity) as bigint) as quantity
        from referentials.unacknowledged_line as open_lines
        inner join referentials.sales_order as orders on open_lines.order_id = orders.order_id
        group by orders.system_code, orders.order_external_id, open_lines.location_code, open_lines.product_id
        order by all""",
    # The version of each recent order that the snapshot was made with.
    "known_order": f"""
        select
            orders.system_code, orders.order_external_id,
            coalesce(orders.origin_channel_code, orders.channel_code) as channel_code,
            case
                when orders.origin_channel_code is not null then coalesce(orders.origin_order_number, orders.order_number)
                else orders.order_number
            end as order_number,
            orders.origin_channel_code is not null as is_import,
            orders.observed_at
        from staging.sales_order as orders
        cross join meta.run_clock
        left join retailer.channel as channels on orders.channel_code = channels.channel_code
        where
            epoch(run_clock.as_of_at) - epoch(orders.ordered_at)
            < 86400 * case when channels.kind = 'stores' then {KNOWN_TICKET_DAYS} else {KNOWN_DAYS} end
        order by all""",
    "acknowledgement": f"""
        select channel_code, order_number, acknowledged_at
        from referentials.order_acknowledgement
        cross join meta.run_clock
        where is_accepted and epoch(run_clock.as_of_at) - epoch(acknowledged_at) < 86400 * {KNOWN_DAYS}
        order by all""",
    "channel": """
        select
            channel_code, system_code, kind, ships_from_code, safety_stock_qty, cap_qty, stock_stale_after_minutes,
            kind <> 'stores' and coalesce(is_order_acknowledged, false) as is_order_acknowledged
        from retailer.channel
        order by channel_code""",
    "channel_location": """
        select channel_code, location_code from referentials.channel_stock_location order by all""",
    "product": """
        select product_id, sku, kind, is_stock_tracked from referentials.product order by product_id""",
    "kit": """
        select kit_product_id, component_product_id, component_qty from referentials.kit_component order by all""",
    # What a channel showed of each item it may be told about: a published, managed item whose quantity can be computed.
    "listing": """
        select
            listings.channel_code, listings.product_external_id, listings.product_id, listings.published_qty,
            listings.stock_observed_at, listings.expected_qty
        from kpis.k1b_listing as listings
        where
            listings.product_external_id is not null
            and listings.product_id is not null
            and listings.state in ('ok', 'wrong', 'stale', 'in_flight')
        order by all""",
    "crosswalk": """
        select system_code, product_external_id, product_id from referentials.product_xref order by all""",
    # SKUs that name exactly one product of the master.
    "sku": """
        select sku, min(product_id) as product_id
        from staging.master_product
        where sku is not null
        group by sku
        having count(*) = 1
        order by sku""",
    # Systems that have a catalogue of their own: what they quote and the crosswalk lacks is not matched by SKU.
    "catalogue": """
        select distinct system_code from staging.product order by system_code""",
}


@dataclass(frozen=True)
class Snapshot:
    """One snapshot, read. ``as_of_at``: the clock of the run that made it. ``tables``: see :data:`TABLES`."""

    version: str
    as_of_at: datetime
    tables: Mapping[str, pl.DataFrame]


def folder_of(data_dir: Path) -> Path:
    """Where the snapshots of a data folder lie."""
    return data_dir / "fast_lane"


def read_tables(con: duckdb.DuckDBPyConnection) -> Snapshot:
    """The tables of a snapshot as the warehouse has them now. The caller is in a writer session."""
    found = con.execute("select as_of_at, run_id from meta.run_clock").fetchone()
    if found is None:
        raise PermanentError("the warehouse has no run clock", action="run the whole job once: `etalon run --full`")
    tables = {name: con.execute(query).pl() for name, query in TABLES.items()}
    return Snapshot(_version(found[0], found[1]), found[0].astimezone(UTC), tables)


def export(con: duckdb.DuckDBPyConnection, data_dir: Path) -> Snapshot:
    """Write a snapshot of the warehouse and make it the one that holds. Written again, it is the same."""
    snapshot = read_tables(con)
    write(snapshot, data_dir)
    return snapshot


def write(snapshot: Snapshot, data_dir: Path) -> Path:
    """Write the files of a snapshot, then name it as the one that holds. Gives its folder."""
    folder = folder_of(data_dir)
    target, partial = folder / snapshot.version, folder / f"{snapshot.version}.part"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for name, frame in snapshot.tables.items():
        frame.write_parquet(partial / f"{name}.parquet", compression="zstd", compression_level=1)
    if target.exists():
        # Made again by the same run: the folder that readers may have open gives way to one under another name.
        shutil.rmtree(target)
    os.replace(partial, target)
    pointer = folder / "current.json.part"
    pointer.write_text(
        json.dumps({"format": FORMAT, "version": snapshot.version, "as_of_at": snapshot.as_of_at.isoformat()}),
        encoding="utf-8",
    )
    os.replace(pointer, folder / "current.json")
    _forget_old(folder, snapshot.version)
    return target


def current_version(data_dir: Path) -> str | None:
    """The version that holds; None before the first. Raises PermanentError for a snapshot of another release's format."""
    pointer = _pointer(data_dir)
    return None if pointer is None else str(pointer["version"])


def load(data_dir: Path) -> Snapshot | None:
    """The snapshot that holds; None before the first. Raises PermanentError for a snapshot of another release's format."""
    while True:
        pointer = _pointer(data_dir)
        if pointer is None:
            return None
        folder = folder_of(data_dir) / str(pointer["version"])
        try:
            tables = {name: pl.read_parquet(folder / f"{name}.parquet") for name in TABLES}
        except FileNotFoundError:
            if _pointer(data_dir) == pointer:
                raise
            continue  # newer ones came while this one was read, and it was cleared away
        return Snapshot(str(pointer["version"]), datetime.fromisoformat(pointer["as_of_at"]), tables)


def _pointer(data_dir: Path) -> dict[str, Any] | None:
    path = folder_of(data_dir) / "current.json"
    try:
        pointer: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    if pointer.get("format") != FORMAT:
        raise PermanentError(
            f"the stock book has format {pointer.get('format')}, this release reads {FORMAT}",
            where=Where(file=str(path)),
            action="run the main job once with this release",
        )
    return pointer


def _version(as_of_at: datetime, run_id: str) -> str:
    safe = "".join(letter if letter.isalnum() else "-" for letter in run_id)
    return f"{as_of_at.astimezone(UTC):%Y%m%dT%H%M%S%f}-{safe[:40]}"


def _forget_old(folder: Path, current: str) -> None:
    versions = sorted((path for path in folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in [path for path in versions if path.name != current][: max(0, len(versions) - KEPT)]:
        shutil.rmtree(path, ignore_errors=True)
