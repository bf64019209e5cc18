"""Given a retailer that was read, a backup, and a present that went on: expect a restore to bring back the very state that was copied."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlalchemy as sa

from assets.publication import publication_steps
from assets.runtime import Runtime
from orchestration.instance import open_instance
from orchestration.runs import run_job
from resources.backup import read_inventory, restore_backup, take_backup
from resources.errors import PermanentError
from resources.privacy import PiiStore
from resources.settings import Settings
from resources.warehouse.lock import LockTimeout, writer_lock
from tests.conftest import ROOT, SECRET_KEY
from tests.orchestration.small import CATALOGUE, MemoryConnector, product, refused_product, small_runtime

pytestmark = pytest.mark.xdist_group("backup")  # most look at one run and its backup
TOKEN = "a" * 64


@pytest.fixture(params=["sqlite", "postgres"])
def stored(request: pytest.FixtureRequest, data_dir: Path) -> Settings:
    """Settings whose instance and operations store are in files, and in PostgreSQL."""
    environ = {
        "ETALON_DATA_DIR": str(data_dir),
        "ETALON_NOW": "2026-05-18T10:00:00Z",
        "ETALON_SECRET_KEY": SECRET_KEY.hex(),
    }
    if request.param == "postgres":
        environ["ETALON_POSTGRES_URL"] = request.getfixturevalue("postgres_url")
    return Settings.from_environment(environ, ROOT)


def ran(settings: Settings, *numbers: str) -> Runtime:
    """The retailer after a run that read these products, one row refused, and one personal value kept."""
    catalogue = MemoryConnector("erp", (CATALOGUE,), [product(number) for number in numbers], [refused_product()])
    runtime = small_runtime(settings, erp=catalogue)
    # Without the report: the small models have none of its tables.
    summary = run_job(runtime, full=True, publications=publication_steps(runtime)[:1])
    assert summary.errors == {}
    runtime.personal.put([(TOKEN, "email", f"person-{'-'.join(numbers)}@example.com")])
    return runtime


def state(runtime: Runtime) -> dict[str, Any]:
    """All that is kept: rows of the warehouse, of the operations store, runs of the instance, personal values, files."""
    settings = runtime.settings
    with runtime.warehouse.writer(purpose="test") as con:
        tables = con.sql("select database_name, schema_name, table_name from duckdb_tables() order by all").fetchall()
        rows = {
            ".".join(name): sorted(map(repr, con.sql('select * from "{}"."{}"."{}"'.format(*name)).fetchall()))
            for name in tables
            if name[0] in ("wh", "mart")
        }
    engine = sa.create_engine(settings.operations_url)
    metadata = sa.MetaData(schema="operations" if settings.postgres_url else None)
    metadata.reflect(engine)
    with engine.connect() as connection:
        kept = {
            name: sorted(map(repr, connection.execute(sa.select(table)).all()))
            for name, table in metadata.tables.items()
        }
    engine.dispose()
    with open_instance(settings.dagster_dir, settings.postgres_url) as instance:
        runs = {run.run_id: (run.status.value, len(instance.all_logs(run.run_id))) for run in instance.get_runs()}
    value = PiiStore(settings.pii_path, runtime.sealer).get(
        TOKEN
    )  # a store of its own: the runtime's tells the journal who opens
    files = sorted(
        path.relative_to(settings.data_dir).as_posix()
        for folder in ("landing", "canonical", "published")
        for path in (settings.data_dir / folder).rglob("*")
        if path.is_file()
    )
    return {"warehouse": rows, "operations": kept, "runs": runs, "personal": value and value.value, "files": files}


@dataclass(frozen=True)
class Copied:
    """A retailer, its backup, and all that it kept when that was taken."""

    runtime: Runtime
    folder: Path
    state: dict[str, Any]


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Copied:
    """One run and one backup for the tests that change neither."""
    home = tmp_path_factory.mktemp("copied")
    environ = {
        "ETALON_DATA_DIR": str(home / "data"),
        "ETALON_NOW": "2026-05-18T10:00:00Z",
        "ETALON_SECRET_KEY": SECRET_KEY.hex(),
    }
    runtime = ran(Settings.from_environment(environ, ROOT), "1", "2")
    now = runtime.settings.clock()()
    taken = take_backup(runtime.settings, runtime.warehouse, home / "backups", with_landing=True, now=now)
    return Copied(runtime, taken.folder, state(runtime))


def test_where_nothing_can_be_put_aside_nothing_is_touched(stored: Settings, tmp_path: Path) -> None:
    """Given a data folder beside which nothing can be made (a volume of a container), expect a restore to change nothing."""
    runtime = ran(stored, "1")
    now = stored.clock()()
    taken = take_backup(stored, runtime.warehouse, tmp_path / "backups", with_landing=True, now=now)
    changed = ran(replace(stored, now=now + timedelta(hours=1)), "1", "2")
    expected = state(changed)
    stored.data_dir.with_name(f"{stored.data_dir.name}.before-restore-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}").touch()
    with pytest.raises(PermanentError, match="cannot be put aside"):
        restore_backup(stored, changed.warehouse, taken.folder, replace=True, now=now)
    assert state(changed) == expected


def test_what_is_restored_is_what_was_copied(stored: Settings, tmp_path: Path) -> None:
    before = ran(stored, "1", "2", "3")
    expected = state(before)
    taken = take_backup(stored, before.warehouse, tmp_path / "backups", with_landing=True, now=stored.clock()())
    later = replace(stored, now=stored.clock()() + timedelta(hours=1))
    changed = ran(later, "1", "4")
    changed.personal.erase(TOKEN)
    assert state(changed)["warehouse"] != expected["warehouse"]
    changed.operations.close()

    _, aside = restore_backup(stored, changed.warehouse, taken.folder, replace=True, now=later.clock()())

    assert state(small_runtime(stored)) == expected
    assert aside is not None
    assert (aside / "warehouse.duckdb").is_file()
    # And work goes on from there; the refused row, whose key nobody knows, keeps 2 and 3 from being taken for deleted.
    again = ran(later, "1", "4")
    with again.warehouse.writer(purpose="test") as con:
        live = con.sql("select sku from canonical.product where not _is_deleted order by all").fetchall()
    assert live == [(f"SKU-{number}",) for number in (1, 2, 3, 4)]


def test_an_empty_machine_is_filled_without_asking(copied: Copied, tmp_path: Path) -> None:
    settings = copied.runtime.settings
    elsewhere = replace(
        settings,
        data_dir=tmp_path / "elsewhere",
        operations_url=f"sqlite:///{tmp_path / 'elsewhere' / 'operations.sqlite'}",
    )
    found = small_runtime(elsewhere)

    _, aside = restore_backup(elsewhere, found.warehouse, copied.folder, replace=False, now=settings.clock()())

    assert aside is None
    assert state(found) == copied.state


def test_without_landing_all_but_the_raw_payloads_is_there(copied: Copied, tmp_path: Path) -> None:
    settings = copied.runtime.settings
    taken = take_backup(settings, copied.runtime.warehouse, tmp_path, with_landing=False, now=settings.clock()())
    paths = [file.path for file in read_inventory(taken.folder).files]
    assert not [path for path in paths if path.startswith("files/landing/")]
    assert [path for path in paths if path.startswith("files/canonical/")]


def test_the_key_is_in_no_file_of_a_backup(copied: Copied) -> None:
    for path in copied.folder.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert SECRET_KEY not in data, path
            assert SECRET_KEY.hex().encode() not in data, path


def damage(folder: Path) -> None:
    path = folder / "files" / "warehouse.duckdb"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def lose(folder: Path) -> None:
    (folder / "files" / "pii.sqlite").unlink()


def never_finished(folder: Path) -> None:
    (folder / "backup.json").unlink()


def of_a_later_release(folder: Path) -> None:
    path = folder / "backup.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))


def nothing_wrong(folder: Path) -> None:
    assert folder.is_dir()


@pytest.mark.parametrize(
    ("wrong", "changes", "told"),
    [
        (damage, {}, "files/warehouse.duckdb was changed"),
        (lose, {}, "files/pii.sqlite is missing"),
        (never_finished, {}, "never finished"),
        (of_a_later_release, {}, "format 99"),
        (nothing_wrong, {"secret_key_text": "00" * 32}, "another ETALON_SECRET_KEY"),
        (nothing_wrong, {"postgres_url": "postgresql://nobody@127.0.0.1:1/none"}, "PostgreSQL"),
        (nothing_wrong, {"replace": False}, "not empty"),
    ],
)
def test_a_backup_that_does_not_fit_changes_nothing(
    wrong: Callable[[Path], None], changes: dict[str, Any], told: str, copied: Copied, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    shutil.copytree(copied.folder, folder)
    wrong(folder)
    settings = copied.runtime.settings
    replaced = changes.get("replace", True)
    other = replace(settings, **{name: value for name, value in changes.items() if name != "replace"})

    with pytest.raises(PermanentError, match=told):
        restore_backup(other, copied.runtime.warehouse, folder, replace=replaced, now=settings.clock()())

    assert state(copied.runtime) == copied.state


def test_a_backup_waits_for_the_writer(settings: Settings) -> None:
    runtime = small_runtime(settings)
    with (
        writer_lock(settings.lock_path, timeout_s=1, purpose="a run", clock=settings.clock()),
        pytest.raises(LockTimeout, match="a run"),
        runtime.warehouse.closed(0.1, purpose="backup"),
    ):
        pass


def test_a_write_ahead_log_left_by_a_killed_writer_is_in_the_copy(settings: Settings, tmp_path: Path) -> None:
    runtime = ran(settings, "1")
    with runtime.warehouse.writer(purpose="test") as con:
        # What a kill -9 leaves: a log beside the file, taken while the session was open.
        con.execute("set wal_autocheckpoint = '1GB'")
        con.execute("create table wh.main.late as select 42 as answer")
        log = settings.warehouse_path.with_name("warehouse.duckdb.wal")
        data, left = settings.warehouse_path.read_bytes(), log.read_bytes()
    settings.warehouse_path.write_bytes(data)
    log.write_bytes(left)

    taken = take_backup(settings, runtime.warehouse, tmp_path, with_landing=True, now=settings.clock()())

    with duckdb.connect(str(taken.folder / "files" / "warehouse.duckdb"), read_only=True) as con:
        assert con.sql("select answer from main.late").fetchall() == [(42,)]


def test_nothing_to_back_up_is_told(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="nothing to back up"):
        take_backup(settings, small_runtime(settings).warehouse, tmp_path, with_landing=True, now=settings.clock()())
