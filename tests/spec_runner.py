"""Given / expect cases of SQL models: `tests/sql/<schema>/<model>/<case>.yml`, each one a test.

    description: what this case shows
    as_of_at: 2026-05-18T10:00:00Z     # the run's clock; this is the default
    use: [calendar.yml]                # more given tables, from tests/sql/_given/
    through: [referentials.product]    # upstream models to build first, instead of giving their rows
    given:                             # rows of the tables the model reads; columns left out are null
      staging.product:
        - {system_code: erp, product_external_id: A1}
      retailer.channel: |              # the same as a table: first line names columns, an empty cell is null
        channel_code | kind
        web-fr       | web
    expect:                            # all the rows, in any order; only the columns named are compared
      - {product_id: P1}

    breaks: {sku_unique: 1}            # checks of the model's .yml -> how many rows break each; a case may have this alone

`expect` may be a mapping of model -> rows when several models are built (`through`). A check of its own is tested the
same way in `tests/sql/checks/<check>/<case>.yml`: what it expects are the rows that the check finds. `_defaults.yml` in tests/sql, in a
schema's or in a model's folder, or `defaults:` in a case, fill columns that given rows leave out: table -> column ->
value. Canonical rows are not deleted by default. Cases see the real models; tables nobody gives are empty.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from resources.given_tables import create_given_tables, quoted
from resources.sql_project import CHECKS_FOLDER, Check, SqlModel, SqlProject, read_project

ROOT = Path(__file__).resolve().parent.parent
SQL_DIR = ROOT / "dbt_like_sql"
CASES_DIR = ROOT / "tests" / "sql"
DEFAULT_AS_OF = "2026-05-18T10:00:00Z"
BUILT_IN_DEFAULTS: dict[str, Any] = {"_is_deleted": False, "_row_version": 1, "observed_at": DEFAULT_AS_OF}
CASE_KEYS = frozenset({"description", "as_of_at", "use", "through", "defaults", "given", "expect", "breaks"})

Row = dict[str, Any]
Rows = Sequence[Row]


class SpecFailed(Exception):
    """A case's outcome is not what it expects, or the case cannot be understood."""


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect cases; imported by tests/sql/conftest.py."""
    if file_path.suffix != ".yml" or file_path.name.startswith("_") or not file_path.is_relative_to(CASES_DIR):
        return None
    if len(file_path.relative_to(CASES_DIR).parts) != 3:
        return None
    return SpecFile.from_parent(parent, path=file_path)


class SpecFile(pytest.File):
    """One case."""

    def collect(self) -> Iterable[pytest.Item]:
        yield SpecItem.from_parent(self, name=self.path.stem)


class SpecItem(pytest.Item):
    """Runs its case."""

    def runtest(self) -> None:
        run_case(self.path)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        return str(excinfo.value) if isinstance(excinfo.value, SpecFailed) else super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, 0, str(self.path.relative_to(CASES_DIR))


def run_case(path: Path) -> None:
    """Run the case in ``path``. Raises SpecFailed, with the rows missing and the rows too many."""
    model = ".".join(path.relative_to(CASES_DIR).parts[:2])
    case = _read(path)
    if unknown := set(case) - CASE_KEYS:
        raise SpecFailed(f"unknown key {', '.join(sorted(unknown))}; a case has {', '.join(sorted(CASE_KEYS))}")
    if not {"expect", "breaks"} & set(case):
        raise SpecFailed("a case needs `expect` or `breaks`; no row is `expect: []`")
    project, con = _workbench()
    is_check = path.relative_to(CASES_DIR).parts[0] == CHECKS_FOLDER
    told = case.get("expect", {})
    expected = told if isinstance(told, dict) else {model: told}
    built = [*(case.get("through") or []), *([] if is_check else [model])]
    if is_check:
        _prepare_check(project, model)
    for name in [*built, *(name for name in expected if not (is_check and name == model))]:
        if name not in built or name not in project.models:
            raise SpecFailed(f"{name} is not a model that this case builds")
    broken = _broken_checks(project, model, case.get("breaks") or {})
    for name in [*built, *(ref for check, _ in broken for ref in check.refs if ref in project.models)]:
        _prepare(project, name)
    given = _given(path, case)
    con.execute("begin")
    try:
        _insert(con, "meta.run_clock", [{"as_of_at": case.get("as_of_at", DEFAULT_AS_OF), "run_id": "spec"}])
        for table, rows in given.items():
            if table in built:
                raise SpecFailed(f"{table} is given and built; leave it out of one of them")
            _insert(con, table, rows)
        for one in project.models.values():
            if one.name in built:
                con.execute(f"delete from {quoted(one.name)}")
                con.execute(f"insert into {quoted(one.name)} {one.sql}")
        for name, rows in expected.items():
            _compare(con, name, _rows(rows))
        for check, row_qty in broken:
            found = con.execute(check.query).fetchall()
            if len(found) != row_qty:
                shown = "".join(f"  {row}\n" for row in found)
                raise SpecFailed(f"check {check.name}: {row_qty} row(s) were to break it, {len(found)} do\n{shown}")
    finally:
        con.execute("rollback")


@cache
def _project() -> tuple[SqlProject, list[str]]:
    return read_project(SQL_DIR)


@cache
def _workbench() -> tuple[SqlProject, duckdb.DuckDBPyConnection]:
    """One in-memory database for all cases: empty tables, each case in a transaction that is rolled back."""
    con = duckdb.connect()
    con.execute("set TimeZone = 'UTC'")
    con.execute("set threads = 1")
    create_given_tables(con)
    return _project()[0], con


_prepared: set[str] = set()


def _prepare(project: SqlProject, name: str) -> None:
    """Create the model's table and those of all it is made from, empty, so that their types are known."""
    wanted: list[SqlModel] = [*project.ancestors(name), project.models[name]]
    con = _workbench()[1]
    for model in wanted:
        if model.name in _prepared:
            continue
        files = f"{SQL_DIR.name}/{model.schema}/{model.path.stem}."
        if mistakes := [mistake for mistake in _project()[1] if mistake.startswith(files)]:
            raise SpecFailed("\n".join(mistakes))
        con.execute(f"create schema if not exists {quoted(model.schema)}")
        try:
            con.execute(f"create table {quoted(model.name)} as {model.sql}")
        except duckdb.Error as error:
            raise SpecFailed(f"{model.path}: {error}") from error
        _prepared.add(model.name)


def _prepare_check(project: SqlProject, name: str) -> None:
    """Create a check's query as a view of its name, on the empty tables of all that it reads."""
    check = next((check for check in project.checks if f"{CHECKS_FOLDER}.{check.name}" == name), None)
    if check is None:
        files = f"{SQL_DIR.name}/{name.replace('.', '/')}."
        mistakes = [mistake for mistake in _project()[1] if mistake.startswith(files)]
        raise SpecFailed("\n".join(mistakes) or f"there is no {files}sql")
    for ref in check.refs:
        if ref in project.models:
            _prepare(project, ref)
    con = _workbench()[1]
    con.execute(f"create schema if not exists {CHECKS_FOLDER}")
    try:
        con.execute(f"create or replace view {quoted(name)} as {check.query}")
    except duckdb.Error as error:
        raise SpecFailed(f"{check.path}: {error}") from error


def _broken_checks(project: SqlProject, model: str, expected: Mapping[str, int]) -> list[tuple[Check, int]]:
    """The checks of the model that a case names, each with the number of rows that are to break it."""
    declared = {check.name: check for check in project.models[model].checks} if expected else {}
    if unknown := set(expected) - set(declared):
        raise SpecFailed(f"{model} has no check {', '.join(sorted(unknown))}; it has {', '.join(declared)}")
    return [(declared[name], row_qty) for name, row_qty in expected.items()]


def _read(path: Path) -> dict[str, Any]:
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise SpecFailed(f"{path}: expected keys such as given and expect")
    return content


def _given(path: Path, case: Mapping[str, Any]) -> dict[str, Rows]:
    """Rows by table: those of the files used, then the case's own, with defaults filled in."""
    parts = [_read(CASES_DIR / "_given" / name) for name in case.get("use") or []] + [case.get("given") or {}]
    folders = [CASES_DIR, path.parent.parent, path.parent]
    files = [folder / "_defaults.yml" for folder in folders]
    defaults = [_read(file) for file in files if file.exists()] + [case.get("defaults") or {}]
    given: dict[str, list[Row]] = {}
    for part in parts:
        for table, rows in part.items():
            filled: Row = {}
            for layer in defaults:
                filled |= layer.get(table) or {}
            given.setdefault(table, []).extend({**filled, **row} for row in _rows(rows))
    return dict(given)


def _rows(value: Any) -> Rows:
    """Rows from a list of mappings or from a table of text."""
    if isinstance(value, str):
        lines = [line.split("|") for line in value.strip().splitlines()]
        names = [name.strip() for name in lines[0]]
        for line in lines[1:]:
            if len(line) != len(names):
                raise SpecFailed(f"{len(names)} columns are named, this row has {len(line)}: {'|'.join(line)}")
        return [{name: cell.strip() or None for name, cell in zip(names, line, strict=True)} for line in lines[1:]]
    return list(value or [])


def _types(con: duckdb.DuckDBPyConnection, table: str) -> dict[str, str]:
    try:
        described = con.execute(f"describe {quoted(table)}").fetchall()
    except duckdb.Error as error:
        raise SpecFailed(f"{table} is not a table that the model reads, directly or not: {error}") from error
    return {str(row[0]): str(row[1]) for row in described}


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime | date) else str(value)


def _insert(con: duckdb.DuckDBPyConnection, table: str, rows: Rows) -> None:
    types = _types(con, table)
    built_in = {name: value for name, value in BUILT_IN_DEFAULTS.items() if name in types}
    for row in rows:
        if unknown := set(row) - set(types):
            raise SpecFailed(f"{table} has no column {', '.join(sorted(unknown))}; it has {', '.join(types)}")
        full = {**built_in, **row}
        columns = ", ".join(f'"{name}"' for name in full)
        cells = ", ".join(f"cast(? as {types[name]})" for name in full)
        con.execute(f"insert into {quoted(table)} ({columns}) values ({cells})", [_text(v) for v in full.values()])


def _compare(con: duckdb.DuckDBPyConnection, table: str, expected: Rows) -> None:
    types = _types(con, table)
    names = list(dict.fromkeys(name for row in expected for name in row))
    if unknown := set(names) - set(types):
        raise SpecFailed(f"{table} has no column {', '.join(sorted(unknown))}; it has {', '.join(types)}")
    shown = names or list(types)
    listed = ", ".join(f'cast("{name}" as varchar)' for name in shown)
    actual = [tuple(row) for row in con.execute(f"select {listed} from {quoted(table)}").fetchall()]
    wanted = []
    for row in expected:
        cells = ", ".join(f"cast(cast(? as {types[name]}) as varchar)" for name in names)
        found = con.execute(f"select {cells}", [_text(row.get(name)) for name in names]).fetchone()
        wanted.append(tuple(found or ()))
    missing, extra = _difference(wanted, actual), _difference(actual, wanted)
    if missing or extra:
        raise SpecFailed(
            f"{table}\n{_table('expected, not there', shown, missing)}{_table('there, not expected', shown, extra)}"
        )


def _difference(left: Sequence[tuple[Any, ...]], right: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    rest = list(right)
    only: list[tuple[Any, ...]] = []
    for row in left:
        if row in rest:
            rest.remove(row)
        else:
            only.append(row)
    return only


def _table(title: str, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    if not rows:
        return ""
    cells = [[*names], *(["" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[position]) for line in cells) for position in range(len(names))]
    lines = ["  " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in cells]
    return f"{title}:\n" + "\n".join(line.rstrip() for line in lines) + "\n"
