"""The names that assets, jobs and the command line share: asset keys, groups, pools. Nothing else."""

from __future__ import annotations

import dagster as dg

WRITER_POOL = "duckdb_writer"
"""Pool of the steps that write the warehouse. Its limit is one."""

SOURCES, CANONICAL, PUBLICATION = "sources", "canonical", "publication"
"""Groups that no SQL folder names; a SQL model's group is its schema."""

SYNC = "sync"
"""First part of the keys of what goes out to a channel or a system."""

TRANSMISSION = "order_transmission"
"""Group of the orders that go out to a system as files, and of the job that sends them."""

HISTORY = "history"
"""Group, and first part of the keys, of streams read by period."""

OPERATIONS = "operations"
"""Group, and first part of the keys, of what watches over the rest."""

MODE_TAG, INCREMENTAL, FULL = "etalon/mode", "incremental", "full"
"""Tag of a run that tells what it does; its values on one that reads and builds only what changed, and on one that does all."""

RETAILER = dg.AssetKey(["retailer"])
"""retailer.yaml as the tables of the schema `retailer`."""

KPI_VALUE = dg.AssetKey(["kpis", "kpi_value"])
BI = dg.AssetKey([PUBLICATION, "bi"])

LOAD_STEP = "load_canonical"


def stream_key(system_code: str, stream: str) -> dg.AssetKey:
    """Asset of one stream of one system."""
    return dg.AssetKey([system_code, stream])


def entity_key(entity: str) -> dg.AssetKey:
    """Asset of one canonical entity, as loaded in the warehouse."""
    return dg.AssetKey([CANONICAL, entity])


def model_key(schema: str, name: str) -> dg.AssetKey:
    """Asset of one SQL model."""
    return dg.AssetKey([schema, name])


def sync_key(code: str, name: str) -> dg.AssetKey:
    """Asset of what goes out to a channel or a system."""
    return dg.AssetKey([SYNC, code, name])


def channel_pool(channel_code: str) -> str:
    """Pool of the steps that plan and write one channel: one at a time."""
    return f"channel_{channel_code}"


def history_key(system_code: str, stream: str) -> dg.AssetKey:
    """Asset of one stream of one system, read by period."""
    return dg.AssetKey([HISTORY, system_code, stream])


def history_pool(system_code: str) -> str:
    """Pool of the steps that read periods of one system: as many at a time as it bears."""
    return f"history_{system_code}"


def history_step(system_code: str) -> str:
    """Step that reads periods of one system."""
    return f"read_history_{system_code}"


def read_step(system_code: str) -> str:
    """Step that reads one system."""
    return f"read_{system_code}"


def schema_step(schema: str) -> str:
    """Step that builds the models of one SQL folder."""
    return f"build_{schema}"


def operations_key(name: str) -> dg.AssetKey:
    """Asset of operations: its incidents, its exchanges."""
    return dg.AssetKey([OPERATIONS, name])
