"""What every reader of files gives back: pieces of a file as rows of text, and the refusals of what could not be read as rows."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import accumulate

import numpy as np
import polars as pl

from resources.connectors.sdk.mapping import FILE, LINE, OBSERVED, PARENT, PLACE, TextRows
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


def placed(columns: Mapping[str, Sequence[str | None]], lines: Sequence[int], identity: FileIdentity) -> pl.DataFrame:
    """A root frame: columns of text and the place of each row."""
    # One construction: a feed may be thousands of files of a few rows.
    place = {FILE: [identity.name] * len(lines), LINE: lines, OBSERVED: [identity.observed_at] * len(lines)}
    return pl.DataFrame({**columns, **place}, schema={**dict.fromkeys(columns, pl.String), **PLACE})


def with_place(frame: pl.DataFrame, lines: pl.Series, identity: FileIdentity) -> pl.DataFrame:
    """The frame with file, line and observed_at beside."""
    return frame.with_columns(
        pl.lit(identity.name, pl.String).alias(FILE),
        lines.cast(pl.Int64).alias(LINE),
        pl.lit(identity.observed_at).cast(PLACE[OBSERVED]).alias(OBSERVED),
    )


def merge_pieces(pieces: Sequence[Piece]) -> Piece:
    """Several pieces as one."""
    with_rows = [piece.rows for piece in pieces if piece.rows is not None]
    return Piece(
        raw=b"".join(piece.raw for piece in pieces),
        received_qty=sum(piece.received_qty for piece in pieces),
        rows=merge_rows(with_rows) if with_rows else None,
        rejects=[reject for piece in pieces for reject in piece.rejects],
    )


def merge_rows(parts: Sequence[TextRows]) -> TextRows:
    """Rows of several pieces or files as one, each still able to tell its raw text."""
    if len(parts) == 1:
        return parts[0]
    offsets = [0, *accumulate(part.root.height for part in parts)]
    children = {name: _with_offsets([part.children[name] for part in parts], offsets) for name in parts[0].children}

    def raw_of(row: int) -> tuple[str, str]:
        number = bisect_right(offsets, row) - 1
        return parts[number].raw_of(row - offsets[number])

    return TextRows(pl.concat(part.root for part in parts), children, raw_of, parts[0].column_numbers)


def _with_offsets(frames: Sequence[pl.DataFrame], offsets: Sequence[int]) -> pl.DataFrame:
    shifts = np.repeat(offsets[: len(frames)], [frame.height for frame in frames])
    return pl.concat(frames).with_columns(pl.col(PARENT) + pl.Series(shifts, dtype=pl.Int64))
