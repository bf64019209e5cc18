"""Which Parquet files are which table, in the folder that this machine and a cluster's workers see; and the list of what is whole.

A file is written once, under a name of its own, and never changed. A table is new from the moment the list says so; what the list does not
name is swept away. Belongs here: names, the list, sweeping. Who writes the files is in `exporting` and `building`.
"""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from resources.errors import PermanentError, Where

_LIST = "tables.json"
_GIVEN, _MODELS = "given", "models"


class Part(msgspec.Struct, frozen=True):
    """Some files of a table: a folder below the store's, what it was made from, its rows. ``mark`` is equal when its rows are.

    ``is_back``: of a model, whether the warehouse shows these rows.
    """

    folder: str
    mark: str
    rows: int
    is_back: bool = True


class _Listed(msgspec.Struct):
    """The list as it is on disk: `schema.table` -> period -> part; ``all`` is the only period of a table that is not cut."""

    folder: str
    tables: dict[str, dict[str, Part]]


@dataclass
class Store:
    """The tables of one data folder. ``here``: the folder as this machine sees it; ``there``: as the cluster's workers do."""

    here: Path
    there: str
    list_path: Path

    def __post_init__(self) -> None:
        self._listed = self._read()

    def _read(self) -> _Listed:
        try:
            listed = msgspec.json.decode(self.list_path.read_bytes(), type=_Listed)
        except FileNotFoundError:
            return _Listed(str(self.here), {})
        except msgspec.DecodeError as error:
            raise PermanentError(
                f"the list of tables on the cluster cannot be read: {error}",
                where=Where(file=str(self.list_path)),
                action="remove it: the next run writes every table anew",
            ) from error
        # Another folder holds none of these files.
        return listed if listed.folder == str(self.here) else _Listed(str(self.here), {})

    @property
    def tables(self) -> Mapping[str, Mapping[str, Part]]:
        """`schema.table` -> period -> part, of everything that is whole."""
        return self._listed.tables

    def rows(self, table: str) -> int:
        """Rows of a table."""
        return sum(part.rows for part in self.tables[table].values())

    def paths_here(self, table: str) -> list[str]:
        """Patterns of a table's files, as this machine sees them."""
        return [str(self.here / part.folder / "*.parquet") for _, part in sorted(self.tables[table].items())]

    def paths_there(self, table: str) -> list[str]:
        """Folders of a table's files, as the cluster sees them."""
        return [f"{self.there}/{part.folder}" for _, part in sorted(self.tables[table].items())]

    def new_folder(self, table: str, *, is_model: bool) -> str:
        """The name of a folder, below the store's, that nothing was ever written to."""
        return f"{_MODELS if is_model else _GIVEN}/{table}/{uuid.uuid4().hex}"

    def put(self, table: str, parts: Mapping[str, Part]) -> None:
        """From now on these parts are the table."""
        self._write({**self._listed.tables, table: dict(parts)})

    def forget(self, tables: list[str]) -> None:
        """The cluster no longer has these tables."""
        if any(table in self._listed.tables for table in tables):
            self._write({name: parts for name, parts in self._listed.tables.items() if name not in tables})

    def _write(self, tables: dict[str, dict[str, Part]]) -> None:
        self._listed = _Listed(str(self.here), tables)
        self.list_path.parent.mkdir(parents=True, exist_ok=True)
        partial = self.list_path.with_suffix(".part")
        with partial.open("wb") as file:
            file.write(msgspec.json.encode(self._listed))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, self.list_path)

    def sweep(self) -> int:
        """Remove what the list does not name: replaced tables, and what a stopped run left. Gives how many folders."""
        named = {part.folder for parts in self.tables.values() for part in parts.values()}
        kept = named | {folder.rpartition("/")[0] for folder in named}
        swept = 0
        for folder in self._folders():
            name = self._name(folder)
            periods = [path for path in folder.iterdir() if path.is_dir()] if name in kept - named else []
            for unnamed in [path for path in periods if self._name(path) not in named] if name in kept else [folder]:
                shutil.rmtree(unnamed)
                swept += 1
        return swept

    def _name(self, folder: Path) -> str:
        return folder.relative_to(self.here).as_posix()

    def _folders(self) -> Iterator[Path]:
        """`given/<table>/<id>` and `models/<table>/<id>`: nothing else in the folder is ours."""
        for kind in (_GIVEN, _MODELS):
            for table in sorted((self.here / kind).glob("*")):
                yield from sorted(path for path in table.iterdir() if path.is_dir())

    def clear(self) -> int:
        """Forget and remove everything; gives how many folders went."""
        self._write({})
        return self.sweep()
