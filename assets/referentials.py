"""Assets of the referential's making: canonical entities loaded with their contracts, then staging and referentials in SQL."""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from assets.names import CANONICAL, LOAD_STEP, RETAILER, WRITER_POOL, entity_key, stream_key
from assets.progress import Progress
from assets.runtime import EntityLoad, Runtime
from assets.sql_models import OWNER, SAMPLE_ROWS, has_models, markdown_table, schema_assets
from resources.contracts.entity import Entity, entities
from resources.operations import QuarantinedRow
from resources.warehouse.load import Held

CONTRACT, DELETES = "contract", "deletes"
SCHEMAS = ("staging", "referentials")

_CONTRACT = (
    "Every row that arrived since the last load keeps the entity's contract. Rows that do not are in quarantine and the "
    "others go on, so this warns."
)
_DELETES = "No full reading would delete more than it may: rows absent from a suspicious reading are kept until a person looks."


def referential_assets(runtime: Runtime) -> list[dg.AssetsDefinition]:
    """Canonical loading in one step, then one step per SQL folder."""
    built = [schema_assets(runtime, schema) for schema in SCHEMAS if has_models(runtime.project, schema)]
    return [_canonical_assets(runtime), *built]


def _canonical_assets(runtime: Runtime) -> dg.AssetsDefinition:
    keys = {entity_key(name): entity for name, entity in sorted(entities().items())}

    @dg.multi_asset(
        name=LOAD_STEP,
        specs=[_retailer_spec(), *(_spec(runtime, key, entity) for key, entity in keys.items())],
        check_specs=[
            dg.AssetCheckSpec(name, asset=key, description=description)
            for key in keys
            for name, description in ((CONTRACT, _CONTRACT), (DELETES, _DELETES))
        ],
        can_subset=True,
        pool=WRITER_POOL,
        description="Load the complete extracts that wait, and retailer.yaml, into the warehouse.",
    )
    def load_canonical(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        selected = [(key, entity) for key, entity in keys.items() if key in context.selected_asset_keys]
        loads: dict[str, EntityLoad] = {}
        with runtime.writer(LOAD_STEP) as con:
            for number, (_, entity) in enumerate(selected):
                runtime.report(Progress(LOAD_STEP, entity.name, number, len(selected)))
                loads[entity.name] = runtime.load_entity(con, entity.name)
            # Always: the tables are small, and every run has its own clock. Last, as the calendar begins with the oldest order.
            retailer_rows = runtime.load_retailer_tables(con, run_id=context.run.run_id)
        if RETAILER in context.selected_asset_keys:
            tables = markdown_table(("table", "rows"), sorted(retailer_rows.items()))
            yield dg.MaterializeResult(asset_key=RETAILER, metadata={"tables": dg.MetadataValue.md(tables)})
        refused = runtime.refused_rows(
            context.run.run_id, {extract_id for load in loads.values() for extract_id in load.extract_ids}
        )
        for key, entity in selected:
            load = loads[entity.name]
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={
                    "dagster/row_count": load.live_qty,
                    "read": load.result.read_qty,
                    "new": load.result.inserted_qty,
                    "changed": load.result.updated_qty,
                    "deleted at the source": load.result.tombstoned_qty,
                    "row version": load.result.row_version,
                    "extracts": len(load.extract_ids),
                },
                check_results=[
                    _contract(key, entity, refused.get(entity.name, [])),
                    _deletes(key, load.result.held),
                ],
            )

    return load_canonical


def _retailer_spec() -> dg.AssetSpec:
    return dg.AssetSpec(
        RETAILER,
        group_name=CANONICAL,
        description="retailer.yaml as the tables of the schema `retailer`: companies, locations, channels, systems, master rules, "
        "parity groups, thresholds, and calendars worked out day by day.",
        kinds={"duckdb", "yaml"},
        owners=[OWNER],
    )


def _spec(runtime: Runtime, key: dg.AssetKey, entity: Entity) -> dg.AssetSpec:
    feeding = [
        stream_key(code, stream.name)
        for code, connector in sorted(runtime.connectors.items())
        for stream in connector.streams()
        if entity.name in stream.entities
    ]
    return dg.AssetSpec(
        key,
        deps=feeding,
        group_name=CANONICAL,
        description=entity.description,
        kinds={"duckdb", "polars"},
        owners=[OWNER],
        metadata={
            "dagster/column_schema": _schema(entity),
            "keys": ", ".join(("system_code", *entity.keys)),
            "contract": dg.MetadataValue.text(f"resources/contracts/{entity.name}.py"),
        },
    )


def _schema(entity: Entity) -> dg.TableSchema:
    columns = []
    for name, column in entity.schema.columns.items():
        metadata = column.metadata or {}
        unit = f" Unit: {metadata['unit']}." if "unit" in metadata else ""
        pii = f" Personal: {metadata['pii']}." if "pii" in metadata else ""
        columns.append(
            dg.TableColumn(
                name,
                type=str(column.dtype),
                description=f"{column.description or ''}{unit}{pii}".strip(),
                constraints=dg.TableColumnConstraints(
                    nullable=column.nullable, other=[str(check.error or check.name) for check in column.checks]
                ),
            )
        )
    return dg.TableSchema(columns)


def _contract(key: dg.AssetKey, entity: Entity, refused: Sequence[QuarantinedRow]) -> dg.AssetCheckResult:
    by_rule = Counter((row.system_code, row.stream, row.rule) for row in refused)
    metadata: dict[str, Any] = {"refused": len(refused)}
    if refused:
        counts = [(*where, quantity) for where, quantity in sorted(by_rule.items())]
        metadata["by rule"] = dg.MetadataValue.md(markdown_table(("system", "stream", "rule", "rows"), counts))
        # Positions and reasons only: the raw row may hold personal data, `etalon quarantine show` opens it.
        sample = [
            (row.quarantine_id, row.system_code, row.position, row.field, row.reason) for row in refused[:SAMPLE_ROWS]
        ]
        metadata["sample"] = dg.MetadataValue.md(
            markdown_table(("id", "system", "position", "field", "reason"), sample)
        )
    return dg.AssetCheckResult(
        passed=not refused,
        asset_key=key,
        check_name=CONTRACT,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{len(refused)} rows of {entity.name} refused: see `etalon quarantine list`" if refused else None,
        metadata=metadata,
    )


def _deletes(key: dg.AssetKey, held: Sequence[Held]) -> dg.AssetCheckResult:
    told = [(item.scope.system_code, item.scope.stream, item.absent_qty, item.live_qty, item.reason) for item in held]
    columns = ("system", "stream", "absent", "of live rows", "why held")
    return dg.AssetCheckResult(
        passed=not held,
        asset_key=key,
        check_name=DELETES,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(f"{system}.{stream}: {why}" for system, stream, _, _, why in told) or None,
        metadata={"held": dg.MetadataValue.md(markdown_table(columns, told))} if held else {},
    )
