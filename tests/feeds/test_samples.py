"""Samples of feeds: each folder `tests/feeds/samples/<feed>/` holds a file as the system drops it, and what to expect of it.

expect.yml:

    time_zone: Europe/Paris            # of the system that drops it; this is the default
    rows:                              # canonical entity -> all its rows, in their order; only the columns named are compared
      stock_count_line: |              # first line names columns, an empty cell is null
        product_external_id | counted_qty
        A1                  | 3
    refused:                           # all the refused rows: line, rule, and words of the reason
      - {line: 4, rule: bad_number, reason: "qte is 'douze'"}

Rows are read as the extract reads them: by the feed's declaration, then through the contracts.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from resources.connectors.sdk.feed import load_feeds
from resources.contracts.entity import entities
from resources.contracts.validation import split_by_contract
from tests.feeds.support import Read, drop, read

SAMPLES = Path(__file__).parent / "samples"
FOLDERS = sorted(path for path in SAMPLES.glob("*") if path.is_dir())


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_sample(folder: Path, tmp_path: Path) -> None:
    assert folder.name in load_feeds(), f"there is no resources/feeds/{folder.name}.yml"
    expected = yaml.safe_load((folder / "expect.yml").read_text(encoding="utf-8"))
    assert set(expected) <= {"time_zone", "rows", "refused"}, "expect.yml has time_zone, rows and refused"
    for path in sorted(folder.iterdir()):
        if path.name != "expect.yml":
            drop(tmp_path, path.name, path.read_bytes())
    got = read(tmp_path, folder.name, time_zone=expected.get("time_zone", "Europe/Paris"))
    assert [end.reason for end in got.ends if end.outcome != "accepted"] == []
    refused = [(reject.line, reject.rule, reject.reason) for reject in got.rejects]
    found: dict[str, pl.DataFrame] = {}
    for entity, frame in got.frames.items():
        found[entity], by_contract = _through_contract(entity, frame, got)
        refused += by_contract
    assert _told(expected.get("rows") or {}, found) == {}
    wanted = expected.get("refused") or []
    assert sorted((row["line"], row["rule"]) for row in wanted) == sorted((line, rule) for line, rule, _ in refused), (
        refused
    )
    for row in wanted:
        assert any(row["line"] == line and row.get("reason", "") in reason for line, _, reason in refused), (
            row,
            refused,
        )


def _through_contract(
    entity: str, frame: pl.DataFrame, got: Read
) -> tuple[pl.DataFrame, list[tuple[int | None, str, str]]]:
    declared = entities()[entity]
    enveloped = frame.with_columns(pl.lit("sys").alias("system_code"), pl.lit("sample").alias("extract_id"))
    split = split_by_contract(declared, enveloped.select(list(declared.schema.columns)))
    refused = [(int(row.position.rpartition(":")[2]), row.rule, row.reason) for row in split.refused]
    return split.good, [(line, rule, reason) for line, rule, reason in refused]


def _told(expected: dict[str, str], found: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """Entity -> expected rows and found rows, where they differ."""
    different: dict[str, Any] = {}
    for entity in sorted({*expected, *found}):
        lines = [[cell.strip() for cell in line.split("|")] for line in expected.get(entity, "").strip().splitlines()]
        if not lines:
            different[entity] = {"expected": [], "found": found[entity].rows(named=True)}
            continue
        frame = found.get(entity, pl.DataFrame(schema=entities()[entity].polars_schema))
        rows = [[_text(value) for value in row] for row in frame.select(lines[0]).iter_rows()]
        if rows != lines[1:]:
            different[entity] = {"expected": lines[1:], "found": rows}
    return different


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return str(value).lower() if isinstance(value, bool) else str(value)
