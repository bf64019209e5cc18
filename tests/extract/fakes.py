"""A source in memory that can be told to misbehave, and stores in a folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from resources.connectors.sdk.stream import AccessCheck, Batch, Reading, Reject, Stream, WriteCapability
from resources.contracts.entity import entities
from resources.landing import Landing
from resources.operations import Manifest, Operations
from resources.privacy import PiiStore, Sealer

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)
KEY = b"0123456789abcdef0123456789abcdef"
ENVELOPE = ("extract_id", "observed_at", "source_position")

ORDERS = Stream(
    name="acknowledgements",
    path="/acknowledgements",
    entities=("order_acknowledgement",),
    keys=("channel", "number"),
    change_tracking="updated_at",
    cursor_field="at",
    overlap=timedelta(minutes=10),
)


@dataclass(frozen=True)
class Row:
    """A source row. ``number`` None: the connector itself cannot read it."""

    number: str | None
    at: datetime
    channel: str = "web"


@dataclass
class Source:
    """A system with one stream. ``lost``: rows announced and never given. ``error_after``: batches before it fails."""

    rows: Sequence[Row]
    batch_rows: int = 2
    lost: int = 0
    error: Exception | None = None
    error_after: int = 0
    system_code: str = "src"
    stream: Stream = ORDERS
    asked_since: list[datetime | None] = field(default_factory=list)

    def streams(self) -> tuple[Stream, ...]:
        return (self.stream,)

    def writes(self) -> tuple[WriteCapability, ...]:
        return ()

    def check_access(self) -> tuple[AccessCheck, ...]:
        return ()

    def read(self, stream: Stream, *, since_at: datetime | None, now: datetime) -> Reading:  # noqa: ARG002
        self.asked_since.append(since_at)
        rows = [row for row in self.rows if since_at is None or row.at >= since_at]
        return Reading(now, len(rows) + self.lost, since_at is None, self._batches(rows))

    def _batches(self, rows: Sequence[Row]) -> Iterator[Batch]:
        for number, start in enumerate(range(0, len(rows), self.batch_rows)):
            if self.error is not None and number == self.error_after:
                raise self.error
            yield self._batch(number, rows[start : start + self.batch_rows])

    def _batch(self, page: int, rows: Sequence[Row]) -> Batch:
        good = [(place, row) for place, row in enumerate(rows) if row.number is not None]
        frame = pl.DataFrame(
            {
                "channel_code": [row.channel for _, row in good],
                "order_number": [row.number for _, row in good],
                "acknowledged_at": [row.at for _, row in good],
                "is_accepted": [True] * len(good),
                "refusal_reason": [None] * len(good),
                "source_position": [f"page {page} row {place}" for place, _ in good],
            },
            schema={
                name: dtype
                for name, dtype in entities()["order_acknowledgement"].polars_schema.items()
                if name not in ("system_code", "extract_id", "observed_at")
            },
        )
        rejects = [
            Reject(f"page {page} row {place}", repr(row), "no_number", "it has no number", "order_acknowledgement")
            for place, row in enumerate(rows)
            if row.number is None
        ]
        return Batch(
            len(rows),
            raw=[(f"page-{page}", repr(rows).encode())],
            frames={"order_acknowledgement": frame},
            rejects=rejects,
        )


@dataclass
class Stores:
    """The stores of one data folder."""

    data_dir: Path
    operations: Operations
    landing: Landing
    pii: PiiStore

    @classmethod
    def open(cls, data_dir: Path) -> Stores:
        """Open them; a second opening is what a new process sees."""
        sealer = Sealer(KEY)
        return cls(
            data_dir,
            Operations.open(f"sqlite:///{data_dir}/operations.sqlite", data_dir=data_dir),
            Landing(data_dir, sealer),
            PiiStore(data_dir / "pii.sqlite", sealer),
        )

    def extract(
        self, connector: object, stream: Stream, *, full: bool = False, now: datetime = NOW, run_id: str = "run"
    ) -> Manifest:
        """Run an extract on them."""
        from resources.extract import run_extract

        return run_extract(
            connector,  # type: ignore[arg-type]
            stream,
            operations=self.operations,
            landing=self.landing,
            pii=self.pii,
            full=full,
            now=now,
            run_id=run_id,
        )

    def loadable_rows(self, entity: str) -> list[tuple[object, ...]]:
        """Rows offered for loading, the latest per key, envelope left out: what the warehouse would hold."""
        paths = [str(path) for extract in self.operations.loadable_extracts(entity) for path in extract.paths]
        if not paths:
            return []
        keys = ", ".join(("system_code", *entities()[entity].keys))
        columns = ", ".join(f'"{name}"' for name in entities()[entity].polars_schema if name not in ENVELOPE)
        with duckdb.connect() as con:
            return con.execute(
                f"""select {columns} from (
                    select *, row_number() over (
                        partition by {keys} order by observed_at desc, extract_id desc, source_position desc
                    ) as nth
                    from read_parquet(?)) where nth = 1 order by all""",
                [paths],
            ).fetchall()
