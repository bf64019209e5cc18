"""Which benchmarks there are, and the sizes at which ``make bench`` and ``make bench-full`` run each. A new one is a line here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """A module of ``benchmarks`` and the arguments of its runs: ``small`` takes seconds, ``full`` is of the goals' size.

    Several sizes of one benchmark make a curve of cost against size.
    """

    name: str
    small: Sequence[str]
    full: Sequence[str]


SUITE: tuple[Entry, ...] = (
    Entry(
        "extraction",
        small=("--orders 5000 --runs 2",),
        full=(
            "--orders 10000",
            "--orders 100000 --latency-ms 0 50 200 --requests-per-second 20",
        ),
    ),
    Entry("csv_feed", small=("--rows 200000",), full=("--rows 500000", "--rows 5000000")),
    Entry("xml_feed", small=("",), full=("--articles 200000", "--articles 3100000")),
    Entry("jsonl_feed", small=("",), full=("", "--tickets 1000000")),
    Entry("contracts", small=("--rows 500000",), full=("--rows 1000000", "--rows 10000000")),
    Entry("plan_diff", small=("",), full=("--listings 500000", "--listings 5000000")),
    Entry(
        "main_job",
        small=("--lines 20000 --runs 1",),
        full=("--lines 1000", "--lines 1000000 --lines 10000000"),
    ),
    Entry(
        "publishing",
        small=("--lines 200000 --runs 1 --seconds 3",),
        full=("--lines 400000", "--lines 2000000 --seconds 10"),
    ),
    Entry("partitions", small=("--orders 4000 --runs 1",), full=("--orders 100000 --by week",)),
    Entry("stack", small=("--lines 5000 --runs 1",), full=("--lines 20000", "--lines 100000", "--lines 1000000")),
)
