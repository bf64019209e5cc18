"""Many rows put into the store at once are the rows that SQLAlchemy would have put there one by one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from resources.operations import tables as t
from resources.operations.engine import open_engine
from resources.operations.inserting import FEW_ROWS, insert_many

AT = datetime(2026, 5, 18, 10, tzinfo=timezone(timedelta(hours=2)))


EXTRACT = {
    "extract_id": "E1",
    "run_id": "run",
    "system_code": "erp",
    "stream": "prices",
    "kind": "read",
    "outcome": "complete",
    "is_full": True,
    "is_loadable": False,
    "landed_qty": 0,
    "bytes": 0,
    "duration_s": 0.0,
    "quarantined_qty": 0,
    "started_at": AT,
}


def refused(number: int) -> dict[str, Any]:
    reasons = ["a nul \0 in it", "half a character \ud83d", "né d'été", "plain"]
    return {
        "extract_id": "E1",
        "run_id": "run",
        "system_code": "erp",
        "stream": "prices",
        "entity": "price",
        "part": None if number % 3 else "file.csv",
        "position": f"file.csv:{number}",
        "line": number,
        "field": None,
        "rule": "bad_number",
        "reason": reasons[number % len(reasons)],
        "raw": b"\xff\0 as received",
        "context": "",
        "is_sealed": False,
        "is_root": bool(number % 2),
        "status": "pending",
        "attempts": 0,
        "created_at": AT + timedelta(seconds=number),
    }


def stored(folder: Path, rows: list[dict[str, Any]]) -> list[Any]:
    folder.mkdir()
    engine = open_engine(f"sqlite:///{folder}/operations.sqlite")
    with engine.connect() as connection:
        connection.execute(sa.insert(t.extract).values(EXTRACT))
        if len(rows) > FEW_ROWS:
            insert_many(connection, t.quarantine, rows)
        for row in rows if len(rows) <= FEW_ROWS else ():
            connection.execute(sa.insert(t.quarantine).values(row))
        connection.commit()
        found = connection.execute(sa.select(t.quarantine).order_by(t.quarantine.c.quarantine_id)).all()
    engine.dispose()
    return list(found)


def test_rows_put_at_once_are_those_put_one_by_one(tmp_path: Path) -> None:
    rows = [refused(number) for number in range(FEW_ROWS + 10)]
    together = stored(tmp_path / "together", rows)
    first, rest = (stored(tmp_path / name, part) for name, part in (("first", rows[:40]), ("rest", rows[40:])))
    assert [row[1:] for row in together] == [row[1:] for row in (*first, *rest)]
    assert together[0].reason == "a nul � in it"
    assert together[1].created_at == datetime(2026, 5, 18, 8, 0, 1, tzinfo=UTC)
