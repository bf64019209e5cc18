"""The list of what is whole in the shared folder: what it names is kept, whatever else lies there goes."""

from __future__ import annotations

from pathlib import Path

import pytest

from resources.errors import PermanentError
from resources.spark.store import Part, Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "shared", "s3a://bucket/etalon", tmp_path / "data" / "tables.json")


def put(store: Store, table: str, folders: dict[str, str]) -> None:
    for folder in folders.values():
        (store.here / folder).mkdir(parents=True)
        (store.here / folder / "rows.parquet").touch()
    store.put(table, {period: Part(folder, "mark", 2) for period, folder in folders.items()})


def files(store: Store) -> set[str]:
    return {path.parent.relative_to(store.here).as_posix() for path in store.here.rglob("*.parquet")}


def test_a_table_is_found_by_who_opens_the_store_later(store: Store) -> None:
    put(
        store,
        "canonical.order",
        {"2026-04": "given/canonical.order/a/period=2026-04", "2026-05": "given/canonical.order/b/period=2026-05"},
    )
    again = Store(store.here, store.there, store.list_path)
    assert again.rows("canonical.order") == 4
    assert again.paths_there("canonical.order") == [
        "s3a://bucket/etalon/given/canonical.order/a/period=2026-04",
        "s3a://bucket/etalon/given/canonical.order/b/period=2026-05",
    ]


def test_only_what_the_list_names_stays(store: Store) -> None:
    put(store, "kpis.k2_line", {"all": "models/kpis.k2_line/old"})
    put(store, "kpis.k2_line", {"all": "models/kpis.k2_line/new"})
    put(
        store,
        "canonical.order",
        {"2026-04": "given/canonical.order/a/period=2026-04", "2026-05": "given/canonical.order/a/period=2026-05"},
    )
    put(
        store,
        "canonical.order",
        {"2026-06": "given/canonical.order/b/period=2026-06"},
    )
    store.put(
        "canonical.order",
        {**store.tables["canonical.order"], "2026-04": Part("given/canonical.order/a/period=2026-04", "mark", 2)},
    )
    other = store.here / "mine" / "rows.parquet"
    other.parent.mkdir()
    other.touch()
    assert store.sweep() == 2
    assert files(store) == {
        "models/kpis.k2_line/new",
        "given/canonical.order/a/period=2026-04",
        "given/canonical.order/b/period=2026-06",
        "mine",
    }


def test_another_folder_begins_with_nothing(store: Store, tmp_path: Path) -> None:
    put(store, "kpis.k2_line", {"all": "models/kpis.k2_line/a"})
    assert not Store(tmp_path / "elsewhere", "there", store.list_path).tables


def test_clearing_leaves_no_file(store: Store) -> None:
    put(store, "kpis.k2_line", {"all": "models/kpis.k2_line/a"})
    store.clear()
    assert files(store) == set()
    assert not Store(store.here, store.there, store.list_path).tables


def test_a_list_that_cannot_be_read_is_not_taken_for_an_empty_one(store: Store) -> None:
    put(store, "kpis.k2_line", {"all": "models/kpis.k2_line/a"})
    store.list_path.write_bytes(b'{"folder": ')
    with pytest.raises(PermanentError, match=r"tables\.json.*remove it"):
        Store(store.here, store.there, store.list_path)
