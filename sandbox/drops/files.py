"""One file of a drop: its bytes, its `.done` marker, and what a careful reader must make of it. No feed is known here."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import polars as pl

from sandbox.world.places import PARIS

Outcome = Literal["accepted", "duplicate", "refused"]


@dataclass(frozen=True)
class BrokenRow:
    """A row that must end in quarantine. `line` counts from 1, header included; `defect` is what was done to it."""

    line: int
    defect: str


@dataclass(frozen=True)
class DropFile:
    """A file and its truth. `rows`: data rows, broken ones included. `totals`: control totals for the marker, decimal text."""

    system: str
    feed: str
    name: str
    data: bytes
    rows: int
    totals: Mapping[str, str] = field(default_factory=dict)
    broken: Sequence[BrokenRow] = ()
    outcome: Outcome = "accepted"
    reason: str = ""

    def write(self, folder: Path) -> None:
        """Write the file whole, then its marker."""
        target = folder / self.system / self.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(self.data)
        marker = {"rows": self.rows, "sha256": hashlib.sha256(self.data).hexdigest(), "totals": dict(self.totals)}
        target.with_name(f"{self.name}.done").write_text(json.dumps(marker) + "\n")

    def truth(self) -> dict[str, Any]:
        """What must be found in the manifest and in quarantine."""
        return {
            "system": self.system,
            "feed": self.feed,
            "file": self.name,
            "rows": self.rows,
            "outcome": self.outcome,
            "reason": self.reason,
            "quarantined": len(self.broken) if self.outcome == "accepted" else 0,
        }


def file_name(prefix: str, sequence: int, at: datetime, extension: str) -> str:
    """`<PREFIX>_<6-digit sequence>_<yyyymmddHHMMSS>.<ext>`, time in UTC."""
    return f"{prefix}_{sequence:06d}_{at:%Y%m%d%H%M%S}.{extension}"


def decimal(minor: str | pl.Expr, mark: str = ".") -> pl.Expr:
    """Minor units as decimal text with two digits."""
    value = pl.col(minor) if isinstance(minor, str) else minor
    digits = pl.format(f"{{}}{mark}{{}}", value.abs() // 100, (value.abs() % 100).cast(pl.String).str.zfill(2))
    return pl.when(value < 0).then(pl.lit("-") + digits).otherwise(digits)


def decimal_text(minor: int, mark: str = ".") -> str:
    """The same, for one number."""
    return f"{'-' if minor < 0 else ''}{abs(minor) // 100}{mark}{abs(minor) % 100:02d}"


def french_time(instant: str) -> pl.Expr:
    """`dd/mm/yyyy HH:MM:SS` in Paris."""
    return pl.col(instant).dt.convert_time_zone(PARIS).dt.strftime("%d/%m/%Y %H:%M:%S")


def local_time(instant: str) -> pl.Expr:
    """`yyyy-mm-dd HH:MM:SS` in Paris, without zone."""
    return pl.col(instant).dt.convert_time_zone(PARIS).dt.strftime("%Y-%m-%d %H:%M:%S")


def iso_time(instant: str) -> pl.Expr:
    """ISO 8601 in UTC with a final Z."""
    return pl.col(instant).dt.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True)
class Dialect:
    """How a system writes its CSV files."""

    separator: str = ";"
    encoding: str = "latin-1"
    has_trailer: bool = True


def csv_file(
    frame: pl.DataFrame,
    dialect: Dialect,
    *,
    system: str,
    feed: str,
    name: str,
    control: tuple[str, str] | None = None,
    broken: Sequence[tuple[str, str | bytes]] = (),
    truncated: str | None = None,
) -> DropFile:
    """A CSV file: header, rows, broken rows (defect, text) and, last, a truncated row; then the trailer.

    `control`: (column, sum as decimal text in the file's own notation). Broken rows must hold 0 in that column.
    """
    data = frame.write_csv(separator=dialect.separator).encode(dialect.encoding)
    line = frame.height + 1
    rows = []
    for defect, text in broken:
        line += 1
        rows.append(BrokenRow(line, defect))
        data += (text if isinstance(text, bytes) else text.encode(dialect.encoding)) + b"\n"
    if truncated is not None:
        rows.append(BrokenRow(line + 1, "truncated_line"))
        data += truncated.encode(dialect.encoding)
    count = frame.height + len(rows)
    if dialect.has_trailer:
        data += f"#TOTAL;{count};{control[1] if control else ''}\n".encode(dialect.encoding)
    totals = {control[0]: control[1].replace(",", ".")} if control else {}
    return DropFile(system, feed, name, data, count, totals, tuple(rows))
