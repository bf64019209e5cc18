"""Tills and counts: tickets as JSON lines per store and day, count sheets as CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import polars as pl

from sandbox.drops.files import BrokenRow, Dialect, DropFile, csv_file, decimal, decimal_text, file_name, iso_time
from sandbox.world import World

COUNTS = Dialect(separator=",", encoding="utf-8", has_trailer=False)


def ticket_files(world: World) -> Iterator[DropFile]:
    """SLSRPT: one file per store and UTC day; the second file of S01 and of S02 hold broken tickets."""
    per_unit = pl.col("unit_minor") - pl.col("discount_minor")
    tickets = (
        world.tickets.sort("location", "sold_at", "ticket", "line_number")
        .group_by("location", "ticket", maintain_order=True)
        .agg(
            pl.col("channel").first(),
            pl.col("sold_at").first(),
            (pl.col("quantity") * per_unit).sum().alias("total_minor"),
            pl.struct(
                pl.col("line_number").alias("line"),
                "sku",
                "name",
                pl.col("quantity").alias("qty"),
                decimal("unit_minor").alias("unit_price"),
                decimal("discount_minor").alias("manual_discount"),
                decimal("rate").alias("vat_rate"),
                "return_of",
            ).alias("lines"),
        )
        .with_columns(pl.col("sold_at").dt.date().alias("day"))
    )
    texts = tickets.select(
        "location",
        "day",
        "total_minor",
        pl.struct(
            "ticket",
            pl.col("location").alias("store"),
            "channel",
            iso_time("sold_at").alias("sold_at"),
            pl.lit("EUR").alias("currency"),
            "lines",
            decimal("total_minor").alias("total"),
        )
        .struct.json_encode()
        .alias("text"),
    )
    days = texts.group_by("location", "day", maintain_order=True).agg(
        pl.col("text").str.join("\n"), pl.col("total_minor").sum(), pl.len().alias("rows")
    )
    sequences: dict[str, int] = {}
    for location, day, text, total, rows in days.iter_rows():
        number = sequences[location] = sequences.get(location, 0) + 1
        closed_at = min(datetime(day.year, day.month, day.day, 23, 30, tzinfo=UTC), world.now)
        data: bytes = text.encode() + b"\n"
        broken: tuple[BrokenRow, ...] = ()
        kept = 0
        if number == 2 and location in ("S01", "S02"):
            tail = _broken_tickets(location, day.isoformat())
            data += b"\n".join(piece for _, piece in tail)
            broken = tuple(BrokenRow(rows + place, defect) for place, (defect, _) in enumerate(tail, start=1) if defect)
            kept = len(tail) - len(broken)
        yield DropFile(
            "pos",
            "pos_tickets",
            file_name(f"SLSRPT_{location}", number, closed_at, "jsonl"),
            data,
            rows + kept + len(broken),
            {"total": decimal_text(total)},
            broken,
        )


def _broken_tickets(location: str, day: str) -> list[tuple[str | None, bytes]]:
    def ticket(name: str, **changes: object) -> str:
        line = {
            "line": 1,
            "sku": "D900060",
            "name": "Leurre",
            "qty": 0,
            "unit_price": "0.00",
            "manual_discount": "0.00",
            "vat_rate": "20.00",
            "return_of": None,
        }
        row = {
            "ticket": f"T-{location}-D{name}",
            "store": location,
            "channel": "stores-fr",
            "sold_at": f"{day}T12:00:00Z",
            "currency": "EUR",
            "lines": [line],
            "total": "0.00",
        }
        return json.dumps({**row, **changes})

    if location == "S01":
        return [
            ("bad_number", ticket("1", total="zéro").encode()),
            ("bad_date", ticket("2", sold_at="hier midi").encode()),
            ("wrong_encoding", ticket("3").encode().replace(b"Leurre", b"Ab\xeem\xe9")),
            ("missing_field", ticket("4").replace('"currency": "EUR", ', "").encode()),
            ("not_json", b"{ticket: T-S01-D5}\n"),
        ]
    # the first of two tickets of one number is kept; it sells nothing
    return [
        (None, ticket("6").encode()),
        ("duplicate_key", ticket("6").encode()),
        ("truncated_line", ticket("7").encode()[:70]),
    ]


def count_files(world: World) -> Iterator[DropFile]:
    """INVCNT: a file for every thirty days; then one without its quantity column."""
    counts = world.stock.counts.sort("counted_at", "location", "sku", "count")
    edges = [world.now - timedelta(days=back) for back in range(0, world.days + 30, 30)][::-1]
    number = 0
    for start, end in pairwise(edges):
        part = counts.filter(pl.col("counted_at") > start, pl.col("counted_at") <= end)
        number += 1
        frame = part.select(
            pl.col("count").alias("count_id"),
            "location",
            "sku",
            pl.col("counted").alias("quantity"),
            iso_time("counted_at").alias("counted_at"),
            "reason",
        )
        broken: list[tuple[str, str | bytes]] = [
            ("bad_number", "C-D1,S01,D900070,trois,2026-02-02T05:00:00Z,cycle"),
            ("bad_date", "C-D1,S01,D900071,1,2026-02-30T05:00:00Z,cycle"),
            ("unknown_value", "C-D1,S01,D900072,1,2026-02-02T05:00:00Z,curiosity"),
            ("wrong_encoding", "C-D1,S01,D90007é,1,2026-02-02T05:00:00Z,cycle".encode("latin-1")),
            ("negative", "C-D1,S01,D900074,-1,2026-02-02T05:00:00Z,cycle"),
        ]
        yield csv_file(
            frame,
            COUNTS,
            system="counts",
            feed="stock_counts",
            name=file_name("INVCNT", number, end, "csv"),
            broken=broken if number == 2 else [],
            truncated="C-D2,S02,D9000" if number == 3 else None,
        )
    lost = (
        counts.filter(pl.col("reason") == "cycle")
        .tail(8)
        .select(
            pl.lit("C-S01-9999").alias("count_id"),
            "location",
            "sku",
            iso_time("counted_at").alias("counted_at"),
            "reason",
        )
    )
    bad = csv_file(
        lost, COUNTS, system="counts", feed="stock_counts", name=file_name("INVCNT", number + 1, world.now, "csv")
    )
    yield replace(bad, outcome="refused", reason="column quantity is missing")
