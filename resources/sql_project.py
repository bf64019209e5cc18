"""Reads dbt_like_sql: each model is one `.sql` and one `.yml`, its schema is its folder. No engine is touched here.

A model is plain SQL that can be pasted in a DuckDB shell. What it reads is found by parsing it: a name with a schema is
another model or a given table, a bare name is one of its own CTEs. Mistakes are all collected and told at once, each
with its file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, cast

import sqlglot
import yaml
from sqlglot import exp
from sqlglot.errors import ParseError

from resources.errors import ConfigurationError
from resources.given_tables import given_tables
from resources.sql_increments import Increment, read_increment
from resources.sql_kpis import (
    MEASURE_COLUMNS,
    MEASURE_DESCRIPTION,
    PART_COLUMNS,
    PART_DESCRIPTION,
    Measure,
    measure_query,
    part_query,
    read_measures,
)
from resources.sql_lineage import ColumnSource, column_lineage
from resources.sql_portability import portability_mistakes

DIALECT = "duckdb"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
CHECKS_FOLDER = "checks"
Severity = Literal["error", "warn"]

# Check kind -> the keys it needs besides kind, name, severity, description and where.
CHECK_KEYS: dict[str, frozenset[str]] = {
    "not_null": frozenset({"columns"}),
    "unique": frozenset({"columns"}),
    "accepted_values": frozenset({"column", "values"}),
    "relationship": frozenset({"columns", "to", "to_columns"}),
    "expression": frozenset({"sql"}),
    "sql": frozenset({"sql"}),
}
COMMON_CHECK_KEYS = frozenset({"kind", "name", "severity", "description", "where"})
EACH = "each"
"""A check of kind sql that judges the rows of each value of these columns by themselves, in every table it reads, may say so."""
BY_ROW = frozenset({"not_null", "accepted_values", "expression"})
"""Kinds of check that judge each row by itself."""
MODEL_KEYS = frozenset(
    {"description", "columns", "checks", "kpi_version", "changed_on", "measures", "owners", "tags", "incremental"}
)


@dataclass(frozen=True)
class ColumnDoc:
    """What one column means; ``unit`` when it has one."""

    description: str
    unit: str | None = None


@dataclass(frozen=True)
class Check:
    """A promise about rows. ``query`` returns the rows that break it; severity error blocks what comes after.

    ``model`` is the model it is declared on; None for a check of its own in `checks/`. ``refs``: tables it reads. ``columns``,
    ``to``, ``to_columns``: as declared, for the kinds that have them; ``columns`` of a kind sql: those it names in `each`.
    """

    name: str
    kind: str
    severity: Severity
    description: str
    query: str
    model: str | None
    refs: tuple[str, ...]
    path: Path
    columns: tuple[str, ...] = ()
    to: str | None = None
    to_columns: tuple[str, ...] = ()

    @property
    def row_condition(self) -> str | None:
        """What is true of a row of the model that breaks it, where that shows in the row alone; None where it does not."""
        begins = _rows_that_break(self.model or "")
        return self.query[len(begins) :] if self.kind in BY_ROW and self.query.startswith(begins) else None


@dataclass(frozen=True)
class SqlModel:
    """One model: `schema.model`, its query, what it reads and what it promises.

    ``refs``: every `schema.table` it reads. ``columns`` in the order of the final select.
    ``kpi_version`` is set on models whose meaning readers rely on, ``measures`` on those that give a KPI's values, ``increment`` on
    those that can be built in part.
    """

    name: str
    path: Path
    sql: str
    description: str
    columns: Mapping[str, ColumnDoc]
    refs: tuple[str, ...]
    checks: tuple[Check, ...] = ()
    kpi_version: int | None = None
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    measures: tuple[Measure, ...] = ()
    increment: Increment | None = None

    @property
    def schema(self) -> str:
        """The folder it lies in."""
        return self.name.split(".")[0]

    @property
    def expression(self) -> exp.Query:
        """A fresh parse of its query."""
        return cast("exp.Query", sqlglot.parse_one(self.sql, dialect=DIALECT))


@dataclass(frozen=True)
class SqlProject:
    """Every model in dependency order, and the checks that stand alone.

    ``given``: `schema.table` -> column -> DuckDB type of the tables that models read and none makes. ``known_lineage``: the lineage
    where it was worked out before.
    """

    folder: Path
    models: Mapping[str, SqlModel]
    checks: tuple[Check, ...]
    given: Mapping[str, Mapping[str, str]] = field(repr=False)
    known_lineage: Mapping[str, Mapping[str, tuple[ColumnSource, ...]]] | None = field(default=None, repr=False)

    def select(self, names: Collection[str] | None = None) -> list[SqlModel]:
        """Models in dependency order: all, or those named by `schema.model` or by a whole `schema`.

        Raises ConfigurationError for a name that is neither.
        """
        if names is None:
            return list(self.models.values())
        schemas = {model.schema for model in self.models.values()}
        unknown = sorted(name for name in names if name not in self.models and name not in schemas)
        if unknown:
            raise ConfigurationError(
                f"no model and no schema is called {', '.join(unknown)}",
                action=f"use `schema.model` or one of the schemas {', '.join(sorted(schemas))}",
            )
        return [model for model in self.models.values() if model.name in names or model.schema in names]

    def ancestors(self, name: str) -> list[SqlModel]:
        """The models that ``name`` is made from, in dependency order, itself left out."""
        wanted: set[str] = set()
        pending = [name]
        while pending:
            for ref in self.models[pending.pop()].refs:
                if ref in self.models and ref not in wanted:
                    wanted.add(ref)
                    pending.append(ref)
        return [model for model in self.models.values() if model.name in wanted]

    def all_checks(self, names: Collection[str] | None = None) -> list[Check]:
        """Checks of the selected models, then the checks of their own whose last built model is one of those."""
        models = self.select(names)
        chosen = {model.name for model in models}
        place = {name: number for number, name in enumerate(self.models)}

        def is_due(check: Check) -> bool:
            read = [ref for ref in check.refs if ref in place]
            return not read or max(read, key=place.__getitem__) in chosen

        own = [check for check in self.checks if names is None or is_due(check)]
        return [check for model in models for check in model.checks] + own

    @cached_property
    def followed_columns(self) -> Mapping[str, tuple[str, ...]]:
        """Table -> the columns of it by which its changes are followed, sorted: by models built in part, checks and publication."""
        found: dict[str, set[str]] = {}
        for model in self.models.values():
            for check in model.checks:
                if check.to in self.models:
                    found.setdefault(str(check.to), set()).update(check.to_columns)
            for one in model.increment.slices if model.increment else ():
                named = found.setdefault(one.rows, set())
                named.update(one.followed_columns)
                if model.increment and model.increment.sums and one.rows in self.models:
                    # What went must be known whole, to be taken off.
                    named.update(self.models[one.rows].columns)
        for check in self.all_checks():
            for ref in check.refs if check.kind == "sql" and check.columns else ():
                if ref in self.models and set(check.columns) <= set(self.models[ref].columns):
                    found.setdefault(ref, set()).update(check.columns)
        for table, key in self.published_keys.items():
            found.setdefault(table, set()).update(key)
        return {table: tuple(sorted(columns)) for table, columns in found.items()}

    @cached_property
    def published_keys(self) -> Mapping[str, tuple[str, ...]]:
        """KPI table that is built in part -> the columns by which the rows of its published copy are replaced."""
        found = {}
        for model in self.models.values():
            if model.schema == "kpis" and model.increment is not None:
                sums = model.increment.sums
                found[model.name] = (
                    tuple(column for column in model.columns if column not in sums) if sums else model.increment.key
                )
        return found

    @cached_property
    def read_models(self) -> frozenset[str]:
        """The models that another model reads."""
        return frozenset(ref for model in self.models.values() for ref in model.refs if ref in self.models)

    @cached_property
    def leads_to_parts(self) -> frozenset[str]:
        """The tables of which a model that is built in part is made, directly or not."""
        found: set[str] = set()
        for model in reversed(list(self.models.values())):
            if model.increment is not None or model.name in found:
                found.update(model.refs)
        return frozenset(found)

    @cached_property
    def lineage(self) -> Mapping[str, Mapping[str, tuple[ColumnSource, ...]]]:
        """Model -> column -> the columns of other tables it comes from. Worked out when first asked for."""
        if self.known_lineage is not None:
            return self.known_lineage
        known = {table: list(columns) for table, columns in self.given.items()}
        known |= {name: list(model.columns) for name, model in self.models.items()}
        return {name: column_lineage(model.expression, known) for name, model in self.models.items()}


def load_project(folder: Path, *, given: Mapping[str, Mapping[str, str]] | None = None) -> SqlProject:
    """Read every model and check under ``folder``.

    ``given``: tables that no model makes; by default those of the warehouse.
    Raises ConfigurationError with one line per mistake, each naming its file: no `.yml` or no `.sql`, a reference to
    an unknown table, a column documented but not selected or selected but not documented, a cycle, a check that cannot
    be understood, a construct that only one engine has (with the portable way to say it).
    """
    project, mistakes = read_project(folder, given=given)
    if mistakes:
        raise ConfigurationError(
            f"{len(mistakes)} mistake(s) in the SQL project\n  " + "\n  ".join(mistakes),
            action="correct the files named",
        )
    return project


def read_project(folder: Path, *, given: Mapping[str, Mapping[str, str]] | None = None) -> tuple[SqlProject, list[str]]:
    """What could be read, and the mistakes, each starting with its file. For tools that go on beside a mistake."""
    tables = given_tables() if given is None else given
    mistakes: list[str] = []
    models: dict[str, SqlModel] = {}
    for path in sorted(folder.glob("*/*.sql")):
        if path.parent.name == CHECKS_FOLDER:
            continue
        model = _read_model(path, folder, mistakes)
        if model is not None:
            models[model.name] = model
    for path in sorted(folder.glob("*/*.yml")):
        if not path.with_suffix(".sql").exists():
            mistakes.append(
                f"{_shown(path, folder)}: there is no {path.stem}.sql beside it; write the query or remove it"
            )
    written = dict(models)
    for model in _put_together(written, folder, mistakes):
        models[model.name] = model
    checks = tuple(_read_own_checks(folder, mistakes))
    known = set(tables) | set(models)
    for name, path, refs in [(m.name, m.path, m.refs) for m in models.values()] + [
        (check.name, check.path, check.refs)
        for check in [*checks, *(check for model in models.values() for check in model.checks)]
    ]:
        for ref in refs:
            if ref not in known:
                mistakes.append(f"{_shown(path, folder)}: {name} reads {ref}, which is unknown; {_nearest(ref, known)}")
    for model in written.values():
        mistakes.extend(_misread_columns(model, folder, models))
    ordered = _in_order(models, folder, mistakes)
    return SqlProject(folder=folder, models=ordered, checks=checks, given=tables), mistakes


def table_refs(query: exp.Expr) -> tuple[str, ...]:
    """Every `schema.table` that a query reads, sorted. Bare names are its CTEs."""
    return tuple(sorted({f"{table.db}.{table.name}" for table in query.find_all(exp.Table) if table.db}))


def _shown(path: Path, folder: Path) -> str:
    return str(path.relative_to(folder.parent))


def _nearest(ref: str, known: Collection[str]) -> str:
    schema, name = ref.split(".", 1)
    close = sorted(table for table in known if table.split(".")[0] == schema or table.endswith(f".{name}"))
    return f"known: {', '.join(close)}" if close else f"no table of a schema {schema} is known"


def _parse(sql: str, shown: str, mistakes: list[str]) -> exp.Query | None:
    try:
        parsed = sqlglot.parse(sql, dialect=DIALECT)
    except ParseError as error:
        mistakes.append(f"{shown}: not readable as SQL: {str(error).splitlines()[0]}")
        return None
    statements = [statement for statement in parsed if statement is not None]
    if len(statements) != 1 or not isinstance(statements[0], exp.Query):
        mistakes.append(f"{shown}: a model is one select statement, nothing else; found {len(statements)} statement(s)")
        return None
    return statements[0]


def _yaml(path: Path, shown: str, mistakes: list[str]) -> dict[str, Any] | None:
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506 (a safe loader, in C)
    except yaml.YAMLError as error:
        mistakes.append(f"{shown}: not readable as YAML: {error}")
        return None
    if not isinstance(content, dict):
        mistakes.append(f"{shown}: expected keys such as description, columns and checks")
        return None
    return content


def _read_model(path: Path, folder: Path, mistakes: list[str]) -> SqlModel | None:
    shown, yml = _shown(path, folder), path.with_suffix(".yml")
    sql = path.read_text(encoding="utf-8").strip().rstrip(";")
    query = _parse(sql, shown, mistakes)
    if not yml.exists():
        mistakes.append(f"{shown}: there is no {yml.name} beside it; add one with description, columns and checks")
        return None
    content = _yaml(yml, _shown(yml, folder), mistakes)
    if query is None or content is None:
        return None
    name = f"{path.parent.name}.{path.stem}"
    shown_yml = _shown(yml, folder)
    for key in sorted(set(content) - MODEL_KEYS):
        mistakes.append(f"{shown_yml}: unknown key {key}; expected {', '.join(sorted(MODEL_KEYS))}")
    description = str(content.get("description") or "").strip()
    if "grain:" not in description.lower():
        mistakes.append(f"{shown_yml}: the description must end with `Grain: one row per ...`")
    selected = query.named_selects
    mistakes.extend(f"{shown}: {mistake}" for mistake in portability_mistakes(query))
    documented = _read_columns(content.get("columns") or {}, shown_yml, mistakes)
    if "*" not in selected:
        for column in sorted(set(documented) - set(selected)):
            mistakes.append(f"{shown_yml}: column {column} is documented, {path.name} does not select it")
        for column in sorted(set(selected) - set(documented)):
            mistakes.append(f"{shown_yml}: column {column} is selected by {path.name} and not documented")
    checks = _read_checks(content.get("checks") or [], name, yml, folder, mistakes)
    for check in checks:
        _check_columns(check, content, selected, shown_yml, mistakes)
    version = content.get("kpi_version")
    return SqlModel(
        name=name,
        path=path,
        sql=sql,
        description=description,
        columns={column: documented[column] for column in selected if column in documented},
        refs=table_refs(query),
        checks=tuple(checks),
        kpi_version=None if version is None else int(version),
        owners=tuple(content.get("owners") or ()),
        tags=tuple(content.get("tags") or ()),
        measures=_read_measures(content, name, selected, shown_yml, mistakes),
        increment=_read_increment(content, table_refs(query), selected, shown_yml, mistakes),
    )


def _read_increment(
    content: Mapping[str, Any], refs: Sequence[str], selected: Sequence[str], shown: str, mistakes: list[str]
) -> Increment | None:
    found: list[str] = []
    increment = read_increment(content, refs, selected, found)
    mistakes.extend(f"{shown}: {mistake}" for mistake in found)
    return increment


def _read_measures(
    content: Mapping[str, Any], model: str, selected: Sequence[str], shown: str, mistakes: list[str]
) -> tuple[Measure, ...]:
    found: list[str] = []
    measures = tuple(read_measures(content, model, selected, found))
    mistakes.extend(f"{shown}: {mistake}" for mistake in found)
    return measures


def _put_together(models: Mapping[str, SqlModel], folder: Path, mistakes: list[str]) -> Iterator[SqlModel]:
    """The models that come from the declarations of KPIs; see :mod:`resources.sql_kpis`."""
    values = [model for model in models.values() if model.measures]
    measures = [measure for model in values for measure in model.measures]
    names = [(measure.kpi_code, measure.name) for measure in measures]
    for code, name in sorted({name for name in names if names.count(name) > 1}):
        mistakes.append(f"{folder.name}/kpis: two models declare the measure {name} of {code}; give one another name")
    if not values:
        return
    for name, query, description, columns in (
        ("kpis.kpi_measure", measure_query(measures), MEASURE_DESCRIPTION, MEASURE_COLUMNS),
        ("kpis.kpi_part", part_query([model.name for model in values]), PART_DESCRIPTION, PART_COLUMNS),
    ):
        yield SqlModel(
            name=name,
            path=folder / "kpis",
            sql=query,
            description=description,
            columns={column: ColumnDoc(told) for column, told in columns.items()},
            refs=tuple(sorted(model.name for model in values)) if name == "kpis.kpi_part" else (),
            owners=values[0].owners,
        )


def _read_columns(content: Mapping[str, Any], shown: str, mistakes: list[str]) -> dict[str, ColumnDoc]:
    columns: dict[str, ColumnDoc] = {}
    for name, value in content.items():
        parts = {"description": value} if isinstance(value, str) else (value or {})
        if not parts.get("description") or set(parts) - {"description", "unit"}:
            mistakes.append(f"{shown}: column {name} needs a description, and may have a unit; got {value!r}")
            continue
        columns[str(name)] = ColumnDoc(str(parts["description"]), parts.get("unit"))
    return columns


def _check_columns(
    check: Check, content: Mapping[str, Any], selected: Sequence[str], shown: str, mistakes: list[str]
) -> None:
    """The columns that a declared check names must be the model's."""
    for declared in map(_spelt_out, content.get("checks") or []):
        if not isinstance(declared, dict) or _check_name(declared) != check.name:
            continue
        named = [declared.get("column"), *(declared.get("columns") or []), *(declared.get(EACH) or [])]
        for column in named:
            if column is not None and column not in selected:
                mistakes.append(f"{shown}: check {check.name} names column {column}, which the model does not select")


def _spelt_out(declared: Any) -> Any:
    """`column: x` is short for `columns: [x]`, `to_column` likewise."""
    if not isinstance(declared, dict) or declared.get("kind") == "accepted_values":
        return declared
    longer = {"column": "columns", "to_column": "to_columns"}
    return {longer.get(key, key): [value] if key in longer else value for key, value in declared.items()}


def _read_checks(content: Any, model: str | None, path: Path, folder: Path, mistakes: list[str]) -> list[Check]:
    shown = _shown(path, folder)
    checks: list[Check] = []
    for declared in map(_spelt_out, content if isinstance(content, list) else [content]):
        kind = declared.get("kind") if isinstance(declared, dict) else None
        if kind not in CHECK_KEYS:
            mistakes.append(f"{shown}: a check needs a kind, one of {', '.join(CHECK_KEYS)}; got {declared!r}")
            continue
        missing = CHECK_KEYS[kind] - set(declared)
        unknown = set(declared) - CHECK_KEYS[kind] - COMMON_CHECK_KEYS - ({EACH} if kind == "sql" else set())
        severity = declared.get("severity", "error")
        if missing or unknown or severity not in ("error", "warn"):
            mistakes.append(
                f"{shown}: check {kind} needs {', '.join(sorted(CHECK_KEYS[kind]))} and may have "
                f"{', '.join(sorted(COMMON_CHECK_KEYS - {'kind'}))} (severity error or warn); got {declared!r}"
            )
            continue
        if kind in ("expression", "sql") and not declared.get("name"):
            mistakes.append(
                f"{shown}: a check of kind {kind} needs a name that says what it promises; got {declared!r}"
            )
            continue
        name = _check_name(declared)
        sql = _check_query(declared, model or "")
        refs = _declared_refs(declared, model)
        if refs is None:
            query = _parse(sql, f"{shown}, check {name}", mistakes)
            if query is None:
                continue
            mistakes.extend(
                f"{shown}, check {name}: {mistake}" for mistake in portability_mistakes(query, is_check=True)
            )
            refs = table_refs(query)
        checks.append(
            Check(
                name=name,
                kind=kind,
                severity=severity,
                description=str(declared.get("description") or _check_sentence(declared)).strip(),
                query=sql,
                model=model,
                refs=refs,
                path=path,
                columns=tuple(declared.get("columns") or declared.get(EACH) or ()),
                to=declared.get("to"),
                to_columns=tuple(declared.get("to_columns") or ()),
            )
        )
    names = [check.name for check in checks]
    for name in sorted({name for name in names if names.count(name) > 1}):
        mistakes.append(f"{shown}: two checks are called {name}; give one of them a name")
    return checks


def _declared_refs(declared: Mapping[str, Any], model: str | None) -> tuple[str, ...] | None:
    """What a check reads, where its kind tells; None when only its query does."""
    if model is None or declared["kind"] in ("expression", "sql") or "where" in declared:
        return None
    return tuple(sorted({model, str(declared["to"])})) if declared["kind"] == "relationship" else (model,)


def _check_name(declared: Mapping[str, Any]) -> str:
    if declared.get("name"):
        return str(declared["name"])
    columns = declared.get("columns") or [declared.get("column")]
    suffix = f"_in_{str(declared['to']).replace('.', '_')}" if declared.get("kind") == "relationship" else ""
    return f"{'_'.join(str(column) for column in columns)}_{declared.get('kind')}{suffix}"


def _check_sentence(declared: Mapping[str, Any]) -> str:
    columns = ", ".join(declared.get("columns") or [str(declared.get("column"))])
    match declared["kind"]:
        case "not_null":
            return f"{columns}: never null"
        case "unique":
            return f"{columns}: no two rows with the same"
        case "accepted_values":
            return f"{columns}: one of {', '.join(str(value) for value in declared['values'])}"
        case "relationship":
            return f"{columns}: each one exists in {declared['to']}"
        case _:
            return str(declared.get("name"))


def _rows_that_break(model: str) -> str:
    """How the query of a check of :data:`BY_ROW` begins; its condition follows."""
    return f"select * from {model} where "


def _check_query(declared: Mapping[str, Any], model: str) -> str:
    """The query that returns the rows breaking a declared check."""
    only = f"({declared['where']}) and " if declared.get("where") else ""
    match declared["kind"]:
        case "not_null":
            absent = " or ".join(f'"{column}" is null' for column in declared["columns"])
            return f"{_rows_that_break(model)}{only}({absent})"
        case "unique":
            columns = ", ".join(f'"{column}"' for column in declared["columns"])
            kept = f" where {declared['where']}" if declared.get("where") else ""
            return f"select {columns}, count(*) as row_qty from {model}{kept} group by {columns} having count(*) > 1"
        case "accepted_values":
            column = f'"{declared["column"]}"'
            values = ", ".join(_literal(value) for value in declared["values"])
            return f"{_rows_that_break(model)}{only}{column} is not null and {column} not in ({values})"
        case "relationship":
            pairs = list(zip(declared["columns"], declared["to_columns"], strict=True))
            same = " and ".join(f't."{there}" = m."{here}"' for here, there in pairs)
            given = " and ".join(f'm."{here}" is not null' for here, _ in pairs)
            return (
                f"select m.* from {model} as m where {only}{given} "
                f"and not exists (select 1 from {declared['to']} as t where {same})"
            )
        case "expression":
            return f"{_rows_that_break(model)}{only}not coalesce(({declared['sql']}), false)"
        case _:
            return str(declared["sql"]).strip().rstrip(";")


def _literal(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else "'" + str(value).replace("'", "''") + "'"


def _read_own_checks(folder: Path, mistakes: list[str]) -> Iterator[Check]:
    """`checks/<name>.sql` returns the offending rows; `checks/<name>.yml` holds description and severity."""
    for path in sorted((folder / CHECKS_FOLDER).glob("*.sql")):
        yml, shown = path.with_suffix(".yml"), _shown(path, folder)
        if not yml.exists():
            mistakes.append(f"{shown}: there is no {yml.name} beside it; add one with description and severity")
            continue
        content = _yaml(yml, _shown(yml, folder), mistakes)
        if content is None:
            continue
        unknown = set(content) - {"description", "severity", "owners", EACH}
        if unknown or not content.get("description"):
            mistakes.append(
                f"{_shown(yml, folder)}: a check needs a description, and may have severity, owners and each"
            )
            continue
        declared = {
            "kind": "sql",
            "name": path.stem,
            "sql": path.read_text(encoding="utf-8"),
            "severity": content.get("severity", "error"),
            "description": content["description"],
            EACH: content.get(EACH),
        }
        yield from _read_checks([declared], None, path, folder, mistakes)


def _misread_columns(model: SqlModel, folder: Path, models: Mapping[str, SqlModel]) -> Iterator[str]:
    """Relationship checks must name columns that their target has."""
    content = yaml.load(model.path.with_suffix(".yml").read_text(encoding="utf-8"), Loader=_LOADER)  # noqa: S506
    for declared in map(_spelt_out, content.get("checks") or []):
        target = models.get(str(declared.get("to"))) if isinstance(declared, dict) else None
        for column in (declared.get("to_columns") or []) if target is not None else []:
            if target is not None and column not in target.columns:
                shown = _shown(model.path.with_suffix(".yml"), folder)
                yield f"{shown}: a relationship check names column {column}, which {target.name} does not have"


def _in_order(models: Mapping[str, SqlModel], folder: Path, mistakes: list[str]) -> dict[str, SqlModel]:
    """Models so that each comes after what it reads; by name where that leaves a choice."""
    ordered: dict[str, SqlModel] = {}
    waiting = dict(sorted(models.items()))
    while waiting:
        ready = [
            name for name, model in waiting.items() if not any(ref in waiting and ref != name for ref in model.refs)
        ]
        ready = [name for name in ready if name not in models[name].refs]
        if not ready:
            circle = ", ".join(_shown(model.path, folder) for model in waiting.values())
            mistakes.append(f"{circle}: these models read each other in a circle, or wait for one that does; break it")
            return dict(models)
        for name in ready:
            ordered[name] = waiting.pop(name)
    return ordered
