"""The SQL project as it was read last, kept as JSON beside the data: reading it anew takes seconds, and every process needs it.

Belongs here: what makes a kept project the present one, and its form in the file. A file that does not fit is read past, never
believed. What a project is, and how one is read, is in `sql_project`.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from resources.sql_increments import Increment
from resources.sql_kpis import MEASURE_COLUMNS, Measure
from resources.sql_lineage import ColumnSource
from resources.sql_project import Check, ColumnDoc, SqlModel, SqlProject, load_project

_FILE = "sql_project.json"
_READERS = (
    "sql_project.py",
    "sql_increments.py",
    "sql_kpis.py",
    "sql_lineage.py",
    "sql_portability.py",
    "given_tables.py",
    "sql_cache.py",
)


def remembered_project(folder: Path, cache_dir: Path) -> SqlProject:
    """The project under ``folder``, from ``cache_dir`` when nothing that it depends on has changed since, with its lineage.

    That is every file of it, the modules that read it, the contracts' tables and sqlglot. Raises ConfigurationError with the
    mistakes in it; a project with mistakes is not kept.
    """
    mark = _mark(folder)
    kept = _kept(cache_dir / _FILE, mark)
    if kept is not None:
        return kept
    project = load_project(folder)
    project = replace(project, known_lineage=project.lineage)
    _keep(cache_dir / _FILE, mark, project)
    return project


def _mark(folder: Path) -> str:
    digest = hashlib.sha256(f"{folder} {version('sqlglot')}".encode())
    here = Path(__file__).parent
    sources = [here / name for name in _READERS] + sorted((here / "contracts").glob("*.py"))
    for path in [*sources, *sorted(folder.glob("*/*.sql")), *sorted(folder.glob("*/*.yml"))]:
        digest.update(f"\0{path}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _kept(path: Path, mark: str) -> SqlProject | None:
    try:
        told = msgspec.json.decode(path.read_bytes())
        return _project(told["project"]) if told["mark"] == mark else None
    except FileNotFoundError:
        return None
    except (msgspec.DecodeError, KeyError, TypeError, ValueError):
        return None  # not ours, or of another release: it is written anew


def _keep(path: Path, mark: str, project: SqlProject) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    partial.write_bytes(msgspec.json.encode({"mark": mark, "project": asdict(project)}, enc_hook=_encoded))
    os.replace(partial, path)


def _encoded(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no form in the file")


def _project(told: Mapping[str, Any]) -> SqlProject:
    return SqlProject(
        folder=Path(told["folder"]),
        models={name: _model(model) for name, model in told["models"].items()},
        checks=tuple(map(_check, told["checks"])),
        given=told["given"],
        known_lineage={
            model: {column: tuple(ColumnSource(*source) for source in sources) for column, sources in columns.items()}
            for model, columns in told["known_lineage"].items()
        },
    )


def _model(told: Mapping[str, Any]) -> SqlModel:
    return SqlModel(
        **{
            **told,
            "path": Path(told["path"]),
            "columns": {name: ColumnDoc(**column) for name, column in told["columns"].items()},
            "checks": tuple(map(_check, told["checks"])),
            "measures": tuple(map(_measure, told["measures"])),
            **{name: tuple(told[name]) for name in ("refs", "owners", "tags")},
            "increment": msgspec.convert(told["increment"], Increment | None),
        }
    )


def _check(told: Mapping[str, Any]) -> Check:
    listed = {name: tuple(told[name]) for name in ("refs", "columns", "to_columns")}
    return Check(**{**told, "path": Path(told["path"]), **listed})


def _measure(told: Mapping[str, Any]) -> Measure:
    """A day is the only one of a measure's values that JSON has no form for."""
    values = (
        date.fromisoformat(value) if column == "changed_on" else value
        for column, value in zip(MEASURE_COLUMNS, told["values"], strict=True)
    )
    return Measure(told["kpi_code"], told["name"], tuple(values))
