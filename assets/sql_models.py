"""Assets of SQL models: one asset per model of dbt_like_sql, one step per folder, checks from the .yml and from checks/.

Belongs here: what every folder shares. What is particular to canonical loading is in referentials.py, to KPIs in kpis.py.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import duckdb

from assets.building import builder
from assets.freshness import FRESHNESS
from assets.names import FULL, INCREMENTAL, MODE_TAG, RETAILER, WRITER_POOL, entity_key, model_key, schema_step
from assets.progress import Progress
from assets.runtime import Runtime
from resources.errors import ConfigurationError, Where
from resources.sql_project import Check, ColumnDoc, SqlModel, SqlProject
from resources.warehouse.build import ModelResult
from resources.warehouse.changes import Audit
from resources.warehouse.checking import CheckResult

OWNER = "team:data"
_CODE = re.compile(r"((?<!`)`[^`]+`(?!`))")
_MARKS = re.compile(r"[\\`*<>\[\]~&]")
AS_BUILT_WHOLE = "as_built_whole"
_AS_BUILT_WHOLE = (
    "The last whole build found every row as the runs that build only what changed had left it. Where it does not, the whole build "
    "stands, and the declaration of what the model reads is wrong (docs/how-to/build-a-model-in-part.md)."
)
_BUILT = {"whole": "whole", "part": "in part: what changed", "left": "not: nothing it reads changed"}
SAMPLE_ROWS = 20
"""Rows shown with a failed check: enough to see the pattern, small enough for an event."""

ExtraMetadata = Callable[[duckdb.DuckDBPyConnection, Sequence[SqlModel]], Mapping[str, Mapping[str, Any]]]
"""Metadata of some models, by model name, read once the whole folder is built."""


def schema_assets(runtime: Runtime, schema: str, *, extra_metadata: ExtraMetadata | None = None) -> dg.AssetsDefinition:
    """One multi-asset for the models of ``schema``, built in one writer session in the order of their references."""
    models = {_key(model.name): model for model in runtime.project.select([schema])}
    checks = {key: checks_of(runtime.project, model) for key, model in models.items()}
    step = schema_step(schema)

    @dg.multi_asset(
        name=step,
        specs=[_spec(runtime, key, model) for key, model in models.items()],
        check_specs=[
            dg.AssetCheckSpec(check.name, asset=key, description=check.description, blocking=check.severity == "error")
            for key, declared in checks.items()
            for check in declared
        ]
        + [
            dg.AssetCheckSpec(AS_BUILT_WHOLE, asset=key, description=_AS_BUILT_WHOLE)
            for key, model in models.items()
            if model.increment is not None
        ],
        can_subset=True,
        pool=WRITER_POOL,
        description=f"Build the models of dbt_like_sql/{schema}.",
    )
    def build_schema(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        selected = [(key, model) for key, model in models.items() if key in context.selected_asset_keys]
        mode = context.run.tags.get(MODE_TAG)
        with builder(runtime, step, is_incremental=mode == INCREMENTAL, is_audited=mode == FULL) as session:
            built: dict[str, ModelResult] = {}
            for number, (_, model) in enumerate(selected):
                runtime.report(Progress(step, model.name, number, len(selected)))
                built[model.name] = session.build(model)
            extra = extra_metadata(session.con, [model for _, model in selected]) if extra_metadata else {}
            for key, model in selected:
                runtime.report(Progress(step, f"checks of {model.name}", len(selected), len(selected)))
                wanted = [
                    check
                    for check in checks[key]
                    if dg.AssetCheckKey(key, check.name) in context.selected_asset_check_keys
                ]
                yield dg.MaterializeResult(
                    asset_key=key,
                    metadata={
                        "dagster/row_count": built[model.name].rows,
                        "seconds": round(built[model.name].seconds, 3),
                        "built": _BUILT[built[model.name].how],
                        "dagster/column_schema": _table_schema(model.columns, built[model.name].columns),
                        **extra.get(model.name, {}),
                    },
                    check_results=[check_result(key, result) for result in session.run_checks(wanted)]
                    + (
                        [_audit_result(key, built[model.name].audit)]
                        if dg.AssetCheckKey(key, AS_BUILT_WHOLE) in context.selected_asset_check_keys
                        else []
                    ),
                )

    return build_schema


def has_models(project: SqlProject, schema: str) -> bool:
    """Whether a folder holds any model."""
    return any(model.schema == schema for model in project.models.values())


def checks_of(project: SqlProject, model: SqlModel) -> list[Check]:
    """The model's own checks, and those of checks/ of which it is the last model to be built.

    Raises ConfigurationError for a check that reads no model: there is nothing after which it could run.
    """
    order = list(project.models)
    shared = []
    for check in project.checks:
        read = [name for name in check.refs if name in project.models]
        if not read:
            raise ConfigurationError(
                f"check {check.name} reads no model",
                where=Where(file=str(check.path)),
                action="select from a model of dbt_like_sql, for example from staging instead of canonical",
            )
        if max(read, key=order.index) == model.name:
            shared.append(check)
    return [*model.checks, *shared]


def check_result(key: dg.AssetKey, result: CheckResult) -> dg.AssetCheckResult:
    """How many rows break a check, and some of them."""
    severity = dg.AssetCheckSeverity.ERROR if result.check.severity == "error" else dg.AssetCheckSeverity.WARN
    metadata: dict[str, Any] = {
        "offending rows": result.failing_qty,
        "query": dg.MetadataValue.md(f"```sql\n{result.check.query}\n```"),
    }
    if result.sample:
        columns = tuple(result.sample[0])
        rows = [tuple(row.values()) for row in result.sample[:SAMPLE_ROWS]]
        metadata["sample"] = dg.MetadataValue.md(markdown_table(columns, rows))
    return dg.AssetCheckResult(
        passed=result.is_ok,
        asset_key=key,
        check_name=result.check.name,
        severity=severity,
        description=None if result.is_ok else f"{result.failing_qty} rows break it: {result.check.description}",
        metadata=metadata,
    )


def _audit_result(key: dg.AssetKey, audit: Audit | None) -> dg.AssetCheckResult:
    """What the last whole build found of what runs in part had left. Nothing is known before the second night."""
    differing_qty = audit.differing_qty if audit is not None else 0
    return dg.AssetCheckResult(
        passed=differing_qty == 0,
        asset_key=key,
        check_name=AS_BUILT_WHOLE,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{differing_qty} rows differed; they are right since" if differing_qty else None,
        metadata={
            "differing rows": differing_qty,
            "audited": str(audit.audited_at) if audit is not None else "not yet",
        },
    )


def markdown_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; what would break a cell (pipes, line ends) is escaped."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_cell(value) for value in row) + " |" for row in rows]
    return "\n".join(lines)


def plain(text: object) -> str:
    """Text as Markdown that shows it as it is: what systems say may look like a link, a picture or HTML. `Code` stays code."""
    parts = _CODE.split(" ".join(str(text).split()))
    return "".join(part if at % 2 else _MARKS.sub(r"\\\g<0>", part) for at, part in enumerate(parts))


def _cell(value: object) -> str:
    # A pipe ends a cell, in code too; both escape it alike.
    return "" if value is None else plain(value).replace("|", "\\|")


def _key(name: str) -> dg.AssetKey:
    schema, _, table = name.partition(".")
    return model_key(schema, table)


def _source_key(table: str) -> dg.AssetKey | None:
    """Asset behind a `schema.table`; None for `meta` and kept history, which describe runs and are no assets."""
    schema, _, name = table.partition(".")
    if schema == "canonical":
        return entity_key(name)
    if schema == "retailer":
        return RETAILER
    return None if schema == "meta" else model_key(schema, name)


def _spec(runtime: Runtime, key: dg.AssetKey, model: SqlModel) -> dg.AssetSpec:
    project = runtime.project
    known = [ref for ref in model.refs if ref in project.models or ref.split(".")[0] in ("canonical", "retailer")]
    lineage = {
        column: [source for source in sources if source.table in known]
        for column, sources in project.lineage[model.name].items()
    }
    return dg.AssetSpec(
        key,
        deps=sorted({dep for ref in known if (dep := _source_key(ref)) is not None}),
        group_name=model.schema,
        description=model.description,
        kinds={runtime.settings.engine, "sql"},
        owners=list(model.owners) or [OWNER],
        tags={
            "etalon/schema": model.schema,
            **({"etalon/kpi_version": str(model.kpi_version)} if model.kpi_version else {}),
        },
        freshness_policy=FRESHNESS if model.schema in ("kpis", "marts") else None,
        metadata={
            "dagster/column_schema": _table_schema(model.columns, {}),
            "dagster/column_lineage": dg.TableColumnLineage(
                {
                    column: [
                        dg.TableColumnDep(asset_key=dep, column_name=source.column)
                        for source in sources
                        if (dep := _source_key(source.table)) is not None
                    ]
                    for column, sources in lineage.items()
                }
            ),
            # The open-source UI stores column lineage and does not draw it: this table shows it.
            "where columns come from": dg.MetadataValue.md(
                markdown_table(
                    ("column", "from"),
                    [
                        (column, ", ".join(f"`{source.table}.{source.column}`" for source in sources) or "computed")
                        for column, sources in lineage.items()
                    ],
                )
            ),
            "file": dg.MetadataValue.text(f"{project.folder.name}/{model.path.relative_to(project.folder)}"),
        },
    )


def _table_schema(columns: Mapping[str, ColumnDoc], types: Mapping[str, str]) -> dg.TableSchema:
    return dg.TableSchema(
        [
            dg.TableColumn(
                name,
                type=types.get(name, "?"),
                description=f"{column.description} Unit: {column.unit}." if column.unit else column.description,
            )
            for name, column in columns.items()
        ]
    )
