"""One writer at a time across processes, readers beside it, and what is left after a kill -9."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import pytest

from resources.warehouse import LockTimeout, Warehouse

ROOT = Path(__file__).resolve().parent.parent.parent


def _process(script: str, data_dir: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, str(data_dir)], stdout=subprocess.PIPE, text=True, cwd=ROOT, env=dict(os.environ)
    )


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


HOLD = """
import sys, time
from pathlib import Path
from resources.warehouse import Warehouse
with Warehouse(Path(sys.argv[1]), threads=1).writer(purpose="the nightly run") as con:
    con.execute("create or replace table main.seen as select 1 as n")
    print("held", flush=True)
    time.sleep(60)
"""

WRITE_AND_DIE = """
import sys, time
from pathlib import Path
from resources.warehouse import Warehouse
with Warehouse(Path(sys.argv[1]), threads=1).writer() as con:
    con.execute("create table if not exists main.ledger (n bigint)")
    n = con.execute("select count(*) from main.ledger").fetchone()[0]
    while True:
        con.execute("insert into main.ledger values (?)", [n])
        n += 1
        print(n, flush=True)
        con.execute("begin; insert into main.ledger select -1 from range(1000)")
        con.execute("rollback")
"""


def test_a_second_process_waits_and_is_told_who_holds_the_lock(tmp_path: Path) -> None:
    holder = _process(HOLD, tmp_path)
    try:
        assert _first_line(holder) == "held"
        started = time.monotonic()
        told = rf"the nightly run, process {holder.pid}"
        with pytest.raises(LockTimeout, match=told) as caught, Warehouse(tmp_path, threads=1).writer(timeout_s=0.3):
            pass
        assert 0.2 < time.monotonic() - started < 5
        assert str(holder.pid) in caught.value.holder
    finally:
        holder.kill()
        holder.wait()
    with Warehouse(tmp_path, threads=1).writer(timeout_s=10) as con:
        assert con.execute("select n from main.seen").fetchall() == [(1,)], "a killed writer's commits stay"


def test_a_wait_that_was_given_up_leaves_no_lock_behind(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, threads=1)
    with warehouse.writer(), pytest.raises(LockTimeout), warehouse.writer(timeout_s=0.1):
        pass
    for _ in range(3):
        with warehouse.writer(timeout_s=5):
            pass


def test_two_threads_take_turns(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, threads=1)
    with warehouse.writer() as con:
        con.execute("create table main.turn (n bigint)")

    def add() -> None:
        for _ in range(3):
            with warehouse.writer(timeout_s=60) as con:
                con.execute("insert into main.turn select count(*) from main.turn")

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with warehouse.writer() as con:
        assert con.execute("select n from main.turn order by n").fetchall() == [(n,) for n in range(6)]


def test_kill_9_while_writing_loses_nothing_that_was_committed(tmp_path: Path) -> None:
    told = 0
    for _ in range(2):
        writer = _process(WRITE_AND_DIE, tmp_path)
        assert writer.stdout is not None
        for line in writer.stdout:
            told = int(line)
            if told % 40 == 0:
                break
        os.kill(writer.pid, signal.SIGKILL)
        rest = writer.stdout.read().split()
        writer.wait()
        told = int(rest[-1]) if rest else told
    with Warehouse(tmp_path, threads=1).writer(timeout_s=10) as con:
        rows = [row[0] for row in con.execute("select n from main.ledger order by n").fetchall()]
    assert len(rows) >= told
    assert rows == list(range(len(rows)))


def test_a_reader_keeps_its_version_while_a_new_one_is_published(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, threads=1)

    def write(value: int) -> None:
        with warehouse.writer(timeout_s=10) as con:
            con.execute(f"create or replace table mart.marts.answer as select {value} as n from range(50000)")

    write(1)
    first = warehouse.publish()
    assert first.tables == {"marts.answer": 50000}
    reader = duckdb.connect(str(warehouse.bi_path), read_only=True)
    try:
        write(2)
        second = warehouse.publish()
        assert reader.execute("select distinct n from marts.answer").fetchall() == [(1,)]
        assert _read_in_another_process(warehouse.bi_path) == "2"
        write(3)
        assert second.path == warehouse.bi_path
    finally:
        reader.close()
    assert not list(warehouse.bi_path.parent.glob("*.part"))


def test_publishing_and_reading_at_once_never_shows_half_a_copy(tmp_path: Path) -> None:
    """A reader that opens again and again while copies are swapped in sees whole versions, never older than the last."""
    warehouse = Warehouse(tmp_path, threads=1)
    with warehouse.writer() as con:
        con.execute("create table mart.marts.answer as select 0 as n from range(20000)")
    warehouse.publish()
    reader = _process(
        """
import sys, time, duckdb
last = -1
for _ in range(25):
    con = duckdb.connect(sys.argv[1] + "/published/bi.duckdb", read_only=True)
    rows = con.execute("select n, count(*) from marts.answer group by n").fetchall()
    con.close()
    assert len(rows) == 1 and rows[0][1] == 20000 and rows[0][0] >= last, (rows, last)
    last = rows[0][0]
    time.sleep(0.02)
print("whole", flush=True)
""",
        tmp_path,
    )
    for value in range(1, 6):
        with warehouse.writer() as con:
            con.execute(f"update mart.marts.answer set n = {value}")
        warehouse.publish()
    assert _first_line(reader) == "whole"
    assert reader.wait() == 0


def test_files_are_written_in_the_format_that_old_clients_read(tmp_path: Path) -> None:
    warehouse = Warehouse(tmp_path, threads=1)
    with warehouse.writer() as con:
        con.execute("create table mart.marts.answer as select 1 as n")
        tags = con.execute(
            "select database_name, tags['storage_version'] from duckdb_databases() order by 1"
        ).fetchall()
    assert {name: tag for name, tag in tags if name in ("wh", "mart")} == {"wh": "v1.2.0+", "mart": "v1.2.0+"}
    warehouse.publish()
    assert b"DUCK" in warehouse.bi_path.read_bytes()[:16]


def _read_in_another_process(path: Path) -> str:
    script = "import sys, duckdb; c = duckdb.connect(sys.argv[1], read_only=True); "
    script += "print(c.execute('select min(n) from marts.answer').fetchone()[0])"
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.strip()
