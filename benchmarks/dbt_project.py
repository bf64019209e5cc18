"""Writes dbt_like_sql as a dbt project for dbt-duckdb: models as tables, checks as tests, given tables as sources.

The SQL stays as it is but for the names of tables, which become `ref()` and `source()`. What dbt has no notion of is a hook: given
tables that no source feeds are created empty, and the daily stock figures that outlive a build are put aside.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.tokenizer_core import Token, TokenType

from resources.given_tables import HISTORY, quoted
from resources.sql_project import Check, SqlModel, SqlProject
from resources.warehouse.aftercare import KPI_VALUES

# dbt would put a model of schema "kpis" into "<target schema>_kpis".
_SCHEMA_MACRO = """{% macro generate_schema_name(custom_schema_name, node) -%}
{{ custom_schema_name if custom_schema_name is not none else target.schema }}
{%- endmacro %}
"""
_PROFILE = "stack"


def write_dbt_project(
    project: SqlProject,
    folder: Path,
    *,
    database: Path,
    loaded: Collection[str],
    in_files: Mapping[str, Path],
    memory_limit: str,
    threads: int,
) -> dict[str, int]:
    """Write the project and its profile into ``folder``. Gives how many models, tests and sources there are.

    ``loaded``: given tables, `schema.table`, that something else fills in ``database``. ``in_files``: schema -> folder of Parquet
    files, one for each of its tables. Given tables that are neither are created empty.
    """
    names = dict.fromkeys(project.models, "ref") | dict.fromkeys(project.given, "source")
    for model in project.models.values():
        _write(folder / "models" / model.schema / f"{_node(model.name)}.sql", _model_text(model, names))
    for schema in sorted({model.schema for model in project.models.values()}):
        told = [_model_doc(model) for model in project.models.values() if model.schema == schema]
        _write(folder / "models" / schema / "models.yml", _yaml({"version": 2, "models": told}))
    _write(folder / "models" / "sources.yml", _yaml({"version": 2, "sources": _sources(project, in_files)}))
    checks = project.all_checks()
    for check in checks:
        _write(folder / "tests" / f"{_test(check)}.sql", _check_text(check, names))
    _write(folder / "macros" / "schema.sql", _SCHEMA_MACRO)
    _write(folder / "dbt_project.yml", _yaml(_project_file(_missing(project, loaded, in_files))))
    _write(folder / "profiles.yml", _yaml(_profile_file(database, memory_limit=memory_limit, threads=threads)))
    return {"models": len(project.models), "tests": len(checks), "sources": len(project.given)}


def with_references(sql: str, names: Mapping[str, str]) -> str:
    """The query with each `schema.table` of ``names`` as `{{ ref(...) }}` or `{{ source(...) }}`; all else stays as written."""
    tokens = DuckDB().tokenize(sql)
    parts, done = [], 0
    for at, token in enumerate(tokens[:-2]):
        dot, table = tokens[at + 1 : at + 3]
        kind = names.get(f"{token.text}.{table.text}") if dot.token_type is TokenType.DOT else None
        if kind is None or _follows_dot(tokens, at):
            continue
        parts += [sql[done : token.start], _reference(kind, token.text, table.text)]
        done = table.end + 1
    return "".join([*parts, sql[done:]])


def _follows_dot(tokens: list[Token], at: int) -> bool:
    return at > 0 and tokens[at - 1].token_type is TokenType.DOT


def _reference(kind: str, schema: str, table: str) -> str:
    if kind == "ref":
        return f"{{{{ ref('{_node(f'{schema}.{table}')}') }}}}"
    return f"{{{{ source('{schema}', '{table}') }}}}"


def _node(name: str) -> str:
    """dbt's names are unique in the whole project, ours in a schema."""
    return name.replace(".", "__")


def _test(check: Check) -> str:
    return f"{_node(check.model or 'checks')}__{check.name}"


def _model_text(model: SqlModel, names: Mapping[str, str]) -> str:
    config = f"{{{{ config(schema='{model.schema}', alias='{model.name.split('.')[1]}') }}}}"
    return f"{config}\n{with_references(model.sql, names)}\n"


def _check_text(check: Check, names: Mapping[str, str]) -> str:
    return f"{{{{ config(severity='{check.severity}') }}}}\n{with_references(check.query, names)}\n"


def _model_doc(model: SqlModel) -> dict[str, Any]:
    columns = [{"name": name, "description": column.description} for name, column in model.columns.items()]
    return {"name": _node(model.name), "description": model.description, "columns": columns}


def _sources(project: SqlProject, in_files: Mapping[str, Path]) -> list[dict[str, Any]]:
    schemas: dict[str, list[str]] = {}
    for table in project.given:
        schema, _, name = table.partition(".")
        schemas.setdefault(schema, []).append(name)
    sources = []
    for schema, tables in schemas.items():
        source: dict[str, Any] = {"name": schema, "schema": schema, "tables": [{"name": name} for name in tables]}
        if schema in in_files:
            source["config"] = {"meta": {"external_location": str(in_files[schema] / "{name}.parquet")}}
        sources.append(source)
    return sources


def _missing(
    project: SqlProject, loaded: Collection[str], in_files: Mapping[str, Path]
) -> dict[str, Mapping[str, str]]:
    return {
        table: columns
        for table, columns in project.given.items()
        if table not in loaded and table.split(".")[0] not in in_files
    }


def _project_file(missing: Mapping[str, Mapping[str, str]]) -> dict[str, Any]:
    return {
        "name": "etalon_models",
        "version": "1.0.0",
        "config-version": 2,
        "profile": _PROFILE,
        "flags": {"send_anonymous_usage_stats": False},
        "on-run-start": list(_empty_tables(missing)),
        "models": {
            "+materialized": "table",
            "etalon_models": {"kpis": {_node(KPI_VALUES): {"+post-hook": _history()}}},
        },
    }


def _empty_tables(missing: Mapping[str, Mapping[str, str]]) -> Iterable[str]:
    for schema in sorted({table.split(".")[0] for table in missing}):
        yield f"create schema if not exists {quoted(schema)}"
    for table, columns in missing.items():
        body = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
        yield f"create table if not exists {quoted(table)} ({body})"


def _history() -> list[str]:
    listed = ", ".join(HISTORY["k1b_history"])
    rows = "from {{ this }} where kpi_code = 'k1b' and period_kind = 'day'"
    return [
        f"delete from kpis.k1b_history where period_start_on in (select period_start_on {rows})",
        f"insert into kpis.k1b_history ({listed}) select {listed} {rows}",
    ]


def _profile_file(database: Path, *, memory_limit: str, threads: int) -> dict[str, Any]:
    target = {
        "type": "duckdb",
        "path": str(database),
        "schema": "main",
        "threads": threads,
        "settings": {"TimeZone": "UTC", "memory_limit": memory_limit, "threads": threads},
    }
    return {_PROFILE: {"target": "local", "outputs": {"local": target}}}


def _yaml(content: Mapping[str, Any]) -> str:
    # Through JSON: dbt takes no tuples.
    return yaml.safe_dump(json.loads(json.dumps(content)), sort_keys=False, allow_unicode=True, width=200)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
