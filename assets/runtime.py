"""The one object that assets are built around: a retailer, its connectors, its SQL project, and the stores they work on.

Belongs here: opening each store once, on first use, and the few calls that need several of them. Nothing of Dagster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property

import duckdb
import polars as pl

from assets.journal_tables import journal_frames
from assets.order_tables import order_frames
from assets.progress import Reporter, quiet
from resources.connectors.registry import build_connector
from resources.connectors.sdk.periods import Period
from resources.connectors.sdk.stream import Connector, Stream
from resources.extract import run_extract
from resources.landing import Landing
from resources.operations import ExchangeEntry, Manifest, Operations, QuarantinedRow
from resources.operations.carrying import must_be_carried_over
from resources.priority import step_back
from resources.privacy import PiiStore, Sealer, Tokeniser
from resources.retailer import Retailer, SystemConfig, load_retailer
from resources.retailer_tables import retailer_frames
from resources.settings import OPERATIONS_FILE, Settings
from resources.sql_cache import remembered_project
from resources.sql_project import SqlProject
from resources.warehouse import FullScope, LoadResult, Warehouse

CALENDAR_BEHIND, CALENDAR_AHEAD = timedelta(days=400), timedelta(days=60)
"""Days of calendar around the run's clock: a year of history with its month before, at least, and promises to come."""

CALENDAR_LIMIT = timedelta(days=6 * 366)
"""How far the calendar follows old orders: six years. A wrong date of 1970 must not make a calendar of half a century."""

CALENDAR_SLACK = timedelta(days=366)
"""How much longer a calendar that has begun keeps its first day: when that moves, every table that counts working days is built anew."""


@dataclass(frozen=True)
class EntityLoad:
    """What was loaded of one entity. ``extract_ids``: the extracts it came from; ``live_qty``: rows now, deleted ones left out."""

    result: LoadResult
    extract_ids: tuple[str, ...]
    live_qty: int


@dataclass
class Runtime:
    """A retailer at work on one machine. Building it opens nothing; a store opens when it is first used.

    ``connect``: how a connector is made of what is declared.
    """

    settings: Settings
    retailer: Retailer
    project: SqlProject
    connectors: Mapping[str, Connector]
    report: Reporter = quiet
    connect: Callable[[SystemConfig], Connector] | None = None

    @cached_property
    def operations(self) -> Operations:
        """Cursors, manifests, quarantine. Raises ConfigurationError when the data folder has those of its own that PostgreSQL lacks."""
        must_be_carried_over(self.settings.data_dir / OPERATIONS_FILE, self.settings.operations_url)
        return Operations.open(self.settings.operations_url, data_dir=self.settings.data_dir)

    @cached_property
    def warehouse(self) -> Warehouse:
        """The warehouse, its clock the real one: it only tells who holds the lock since when."""
        return Warehouse(self.settings.data_dir, memory_limit=self.settings.memory_limit, threads=self.settings.threads)

    @cached_property
    def sealer(self) -> Sealer:
        """Seals what is personal."""
        return Sealer(self.settings.secret_key)

    @cached_property
    def personal(self) -> PiiStore:
        """Personal values, encrypted."""
        return PiiStore(self.settings.pii_path, self.sealer, on_read=self._journal_customer_read)

    def _journal_customer_read(self, kind: str) -> None:
        """A personal value is opened: the journal knows when and of what kind, never which."""
        self.operations.add_exchange(
            ExchangeEntry(
                at=self.settings.clock()(),
                run_id="",
                system_code="etalon",
                stream="customer_read",
                kind="customer_read",
                is_ok=True,
                detail=f"a personal value of kind {kind} was opened",
                rows_qty=1,
            )
        )

    @cached_property
    def landing(self) -> Landing:
        """Raw and canonical files."""
        return Landing(self.settings.data_dir, self.sealer)

    def history_connector(self, system_code: str) -> Connector:
        """The connector of one of the processes that read a system's history at once: with its share of the calls the system bears.

        Made anew each time where the runtime knows how to make connectors.
        """
        if self.connect is None:
            return self.connectors[system_code]
        system = self.retailer.system(system_code)
        shared = {
            "requests_per_second": system.requests_per_second / system.history_readers,
            "workers": max(1, system.workers // system.history_readers),
        }
        return self.connect(system.model_copy(update=shared))

    def extract(
        self, connector: Connector, stream: Stream, *, full: bool, run_id: str, period: Period | None = None
    ) -> Manifest:
        """Read one stream, or a ``period`` of it; see :func:`resources.extract.run_extract`.

        What is expected to go wrong is in the manifest.
        """
        self._step_back()
        return run_extract(
            connector,
            stream,
            operations=self.operations,
            landing=self.landing,
            pii=self.personal,
            full=full,
            now=self.settings.clock()(),
            run_id=run_id,
            period=period,
        )

    @contextmanager
    def writer(self, purpose: str) -> Iterator[duckdb.DuckDBPyConnection]:
        """One writer session of the warehouse; ``purpose`` is told to whoever waits."""
        self._step_back()
        with self.warehouse.writer(purpose=purpose) as con:
            yield con

    def _step_back(self) -> None:
        """In the service, a run that reads or builds leaves the processor to sales; runs that write to channels do neither."""
        if self.settings.is_service:
            step_back()

    def load_retailer_tables(self, con: duckdb.DuckDBPyConnection, *, run_id: str) -> dict[str, int]:
        """Set the run's clock, replace the schema `retailer` and the lists of readings and streams; gives the rows of the former.

        Call it after the orders are loaded: the calendar begins with the oldest of them, and never later than it did before: days that
        went would change the numbers of all the others.
        """
        now = self.settings.clock()()
        self.warehouse.set_run_clock(con, as_of_at=now, run_id=run_id)
        first_order = con.execute('SELECT min(ordered_at) FROM canonical."order" WHERE NOT _is_deleted').fetchone()
        kept = con.execute("SELECT min(local_date) FROM retailer.location_day").fetchone()
        frames = retailer_frames(
            self.retailer,
            first_day=first_calendar_day(now, first_order[0] if first_order else None, kept[0] if kept else None),
            last_day=(now + CALENDAR_AHEAD).date(),
        )
        self.warehouse.load_frames(con, "retailer", frames)
        self.warehouse.load_frames(
            con,
            "meta",
            {
                "extract": extract_frame(self.operations.manifests(with_hints=False)),
                "stream": stream_frame(self.connectors),
                **order_frames(self.operations, now=now, history_days=self.retailer.incidents.history_days),
                **journal_frames(self.operations, now=now, history_days=self.retailer.incidents.history_days),
            },
        )
        return {name: frame.height for name, frame in frames.items()}

    def load_entity(self, con: duckdb.DuckDBPyConnection, entity: str) -> EntityLoad:
        """Load what waits of one entity, and note that it is loaded.

        The note comes after the warehouse's commit: a crash between the two loads the same rows again, which changes nothing.
        """
        waiting = self.operations.loadable_extracts(entity)
        result = self.warehouse.load_entity(
            con,
            entity,
            [path for extract in waiting for path in extract.paths],
            full_scopes=[
                FullScope(
                    extract.system_code,
                    extract.stream,
                    extract.extract_id,
                    extract.unreadable_qty,
                    extract.refused_keys,
                )
                for extract in waiting
                if extract.is_full
            ],
        )
        extract_ids = tuple(extract.extract_id for extract in waiting)
        self.operations.mark_loaded(extract_ids, entity=entity, now=self.settings.clock()())
        live = con.execute(f'SELECT count(*) FROM canonical."{entity}" WHERE NOT _is_deleted').fetchone()
        return EntityLoad(result, extract_ids, int(live[0]) if live else 0)

    def refused_rows(self, run_id: str, extract_ids: set[str]) -> dict[str, list[QuarantinedRow]]:
        """Rows refused by this run and by these extracts, by entity."""
        mine = extract_ids | {manifest.extract_id for manifest in self.operations.manifests(run_id=run_id)}
        refused: dict[str, list[QuarantinedRow]] = {}
        for extract_id in sorted(mine):
            for row in self.operations.quarantined(extract_id=extract_id):
                refused.setdefault(row.entity, []).append(row)
        return refused


def first_calendar_day(now: datetime, first_order_at: datetime | None, kept: date | None = None) -> date:
    """The day the calendar starts on: that of the oldest order, 400 days ago at the latest and six years ago at the earliest.

    ``kept``: the day it starts on now; it stays, up to a year beyond the six, unless it is too late.
    """
    start_at = now - CALENDAR_BEHIND
    if first_order_at is not None:
        # A day more: the order's local date may be the one before its UTC date.
        start_at = max(min(start_at, first_order_at - timedelta(days=1)), now - CALENDAR_LIMIT)
    wanted = start_at.astimezone(UTC).date()
    is_kept = kept is not None and (now - CALENDAR_LIMIT - CALENDAR_SLACK).astimezone(UTC).date() <= kept <= wanted
    return kept if kept is not None and is_kept else wanted


def build_runtime(settings: Settings, *, report: Reporter = quiet, project: SqlProject | None = None) -> Runtime:
    """The retailer that ``settings`` point at. Reads retailer.yaml and dbt_like_sql, connects to nothing.

    ``project``: the SQL project where it was read before, which takes seconds. Raises ConfigurationError with every mistake found in
    them.
    """
    retailer = load_retailer(settings.retailer_path, settings.variables)
    tokeniser = Tokeniser(settings.secret_key)

    def connect(system: SystemConfig) -> Connector:
        return build_connector(system, retailer=retailer, tokeniser=tokeniser, clock=settings.clock())

    return Runtime(
        settings=settings,
        retailer=retailer,
        project=remembered_project(settings.sql_dir, settings.data_dir / "cache") if project is None else project,
        connectors={system.code: connect(system) for system in retailer.systems},
        report=report,
        connect=connect,
    )


def extract_frame(manifests: Sequence[Manifest]) -> pl.DataFrame:
    """The readings as the table `meta.extract`: one row per reading of a stream, failed ones included."""
    columns: dict[str, type[pl.DataType] | pl.DataType] = {
        "system_code": pl.String,
        "stream": pl.String,
        "extract_id": pl.String,
        "announced_qty": pl.Int64,
        "landed_qty": pl.Int64,
        "quarantined_qty": pl.Int64,
        "outcome": pl.String,
        "since_at": pl.Datetime("us", "UTC"),
        "watermark_at": pl.Datetime("us", "UTC"),
        "bytes": pl.Int64,
        "duration_s": pl.Float64,
        "error": pl.String,
        "kind": pl.String,
        "is_loadable": pl.Boolean,
        "started_at": pl.Datetime("us", "UTC"),
        "finished_at": pl.Datetime("us", "UTC"),
    }
    rows = [tuple(getattr(manifest, name) for name in columns) for manifest in manifests]
    return pl.DataFrame(rows, schema=columns, orient="row")


def stream_frame(connectors: Mapping[str, Connector]) -> pl.DataFrame:
    """What the declared streams give as the table `meta.stream`: one row per system, stream and entity."""
    rows = [
        (code, stream.name, entity)
        for code, connector in connectors.items()
        for stream in connector.streams()
        for entity in stream.entities
    ]
    return pl.DataFrame(rows, schema=dict.fromkeys(("system_code", "stream", "entity"), pl.String), orient="row")
