"""What every reader of files gives back: pieces of a file as rows of text, and the refusals of what could not be read as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import polars as pl

from resources.connectors.sdk.mapping import FILE, LINE, OBSERVED, PLACE, TextRows
from resources.connectors.sdk.stream import Reject


@dataclass(frozen=True)
class FileIdentity:
    """A file as its rows name it: its name, and the instant its name carries (when its rows were seen in that state)."""

    name: str
    observed_at: datetime


@dataclass(frozen=True)
class Announced:
    """What a file says of itself: how many rows, and the control total; either may be unsaid."""

    rows_qty: int | None = None
    control_total: Decimal | None = None


@dataclass
class Piece:
    """Some rows of one file. ``raw`` is the piece as received. ``received_qty`` counts refused rows too.

    ``announced``: what the file itself says (a trailer, a count), in its last piece.
    """

    raw: bytes
    received_qty: int
    rows: TextRows | None = None
    rejects: Sequence[Reject] = ()
    announced: Announced = Announced()


def placed(columns: Mapping[str, pl.Series | Sequence[str | None]], lines: pl.Series, identity: FileIdentity) -> pl.DataFrame:
    """A root frame: columns of text and the place of each row."""
    frame = pl.DataFrame(columns, schema=dict.fromkeys(columns, pl.String))
    return with_place(frame, lines, identity)


def with_place(frame: pl.DataFrame, lines: pl.Series, identity: FileIdentity) -> pl.DataFrame:
    """The frame with file, line and observed_at beside."""
    return frame.with_columns(
        pl.lit(identity.name, pl.String).alias(FILE),
        lines.cast(pl.Int64).alias(LINE),
        pl.lit(identity.observed_at).cast(PLACE[OBSERVED]).alias(OBSERVED),
    )
