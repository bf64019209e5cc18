"""Incidents: what is wrong now, since when, and what was told about it. The tables, and every move of their rows.

::

    signal -> open -> closed            the condition is gone
               ^         |
               '---------'              it came back within the damping window: the same incident, one flap more
              open -> accepted          a person says that it is dealt with; it stays silent until it happens anew

Belongs here: storing. What is wrong is found by `resources.incidents`, and told by `resources.alerts`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.operations.engine import Transactions
from resources.operations.tables import UtcInstant, metadata

Severity: TypeAlias = Literal["error", "warning"]
Status: TypeAlias = Literal["open", "closed", "accepted"]
ChangeKind: TypeAlias = Literal["opened", "worsened", "closed", "reminder"]
Evidence: TypeAlias = Mapping[str, str | int | float | bool | None]

incident = sa.Table(
    "incident",
    metadata,
    sa.Column("incident_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column(
        "fingerprint", sa.String(255), nullable=False, comment="kind and origin: the same trouble has the same one"
    ),
    sa.Column("open_key", sa.String(255), unique=True, comment="fingerprint while open, else null"),
    sa.Column("kind", sa.String(64), nullable=False),
    sa.Column("severity", sa.String(16), nullable=False, comment="error or warning"),
    sa.Column("status", sa.String(16), nullable=False, comment="open, closed, accepted"),
    sa.Column("system_code", sa.String(64), nullable=False),
    sa.Column("stream", sa.String(255), comment="stream read, or what is written"),
    sa.Column("channel_code", sa.String(64)),
    sa.Column("file", sa.Text),
    sa.Column("line", sa.BigInteger),
    sa.Column("request_id", sa.String(128)),
    sa.Column("what", sa.Text, nullable=False),
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("evidence", sa.Text, nullable=False, comment="JSON"),
    sa.Column("impact", sa.Text, nullable=False, comment="JSON: what it touches, by kind"),
    sa.Column("occurrences_qty", sa.BigInteger, nullable=False),
    sa.Column(
        "reopened_qty", sa.BigInteger, nullable=False, comment="how often it came back inside the damping window"
    ),
    sa.Column("since_at", UtcInstant, nullable=False, comment="when it began"),
    sa.Column("opened_at", UtcInstant, nullable=False, comment="when it was noticed"),
    sa.Column("last_seen_at", UtcInstant, nullable=False),
    sa.Column("closed_at", UtcInstant),
    sa.Column("muted_until_at", UtcInstant),
    sa.Column("handled_by", sa.String(128), comment="who muted or accepted it"),
    sa.Column("note", sa.Text, comment="why it was muted or accepted"),
    sa.Index("incident_by_fingerprint", "fingerprint", "incident_id"),
    sa.Index("incident_by_last_seen", "last_seen_at"),
)

change = sa.Table(
    "incident_change",
    metadata,
    sa.Column("change_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("incident_id", sa.ForeignKey("incident.incident_id"), nullable=False, index=True),
    sa.Column("change", sa.String(16), nullable=False, comment="opened, worsened, closed, reminder"),
    sa.Column("at", UtcInstant, nullable=False),
    sa.Column("due_at", UtcInstant, nullable=False, comment="not told before: it may not last"),
    sa.Column("state", sa.String(16), nullable=False, comment="waiting, told, dropped"),
    sa.Index("incident_change_to_tell", "state", "due_at"),
)

refresh = sa.Table(
    "incident_refresh",
    metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("generation", sa.BigInteger, nullable=False),
    sa.Column("at", UtcInstant, nullable=False),
)

_REFRESH = "incidents"
LONGEST_FINGERPRINT = 255


@dataclass(frozen=True)
class Impact:
    """What a trouble touches, by kind, each sorted. ``kpis`` are codes; the others are names as the UI shows them."""

    entities: tuple[str, ...] = ()
    referentials: tuple[str, ...] = ()
    kpis: tuple[str, ...] = ()
    work_lists: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    publications: tuple[str, ...] = ()

    def __or__(self, other: Impact) -> Impact:
        """What either of two touches."""
        return Impact(
            **{f.name: tuple(sorted({*getattr(self, f.name), *getattr(other, f.name)})) for f in fields(Impact)}
        )

    def __str__(self) -> str:
        named = ((f.name.replace("_", " "), getattr(self, f.name)) for f in fields(self))
        return "; ".join(f"{name} {', '.join(values)}" for name, values in named if values)


@dataclass(frozen=True)
class Signal:
    """One thing that is wrong now, as a detector found it.

    ``key``: what tells two troubles of one kind, system and stream apart (a file's name, a plan's subject). ``since_at``: when it
    began. ``origins``: asset keys (parts joined by /) whose downstream is touched; ``touches``: what is touched besides.
    ``what`` and ``action`` hold no secret and no personal value.
    """

    kind: str
    severity: Severity
    system_code: str
    what: str
    action: str
    since_at: datetime
    stream: str | None = None
    channel_code: str | None = None
    key: str = ""
    file: str | None = None
    line: int | None = None
    request_id: str | None = None
    occurrences_qty: int = 1
    evidence: Evidence = field(default_factory=dict)
    origins: tuple[str, ...] = ()
    touches: Impact = Impact()

    @property
    def fingerprint(self) -> str:
        """Kind and origin: the same trouble, seen again, has the same one."""
        text = ":".join((self.kind, self.system_code, self.stream or "", self.channel_code or "", self.key))
        # Names of two files may differ at their ends alone.
        return text if len(text) <= LONGEST_FINGERPRINT else f"{text[:190]}:{hashlib.sha256(text.encode()).hexdigest()}"


@dataclass(frozen=True)
class Incident:
    """One trouble from its beginning to its end. ``origin`` says in words where it lies."""

    incident_id: int
    fingerprint: str
    kind: str
    severity: Severity
    status: Status
    system_code: str
    stream: str | None
    channel_code: str | None
    file: str | None
    line: int | None
    request_id: str | None
    what: str
    action: str
    evidence: Evidence
    impact: Impact
    occurrences_qty: int
    reopened_qty: int
    since_at: datetime
    opened_at: datetime
    last_seen_at: datetime
    closed_at: datetime | None
    muted_until_at: datetime | None
    handled_by: str | None
    note: str | None

    def is_muted(self, now: datetime) -> bool:
        """Whether nothing is to be told about it now."""
        return self.muted_until_at is not None and self.muted_until_at > now

    @property
    def place(self) -> str:
        """`shop_fr.orders`, or the system alone."""
        return f"{self.system_code}.{self.stream}" if self.stream else self.system_code

    @property
    def origin(self) -> str:
        """`shop_fr.orders, file x.csv, line 3, request 17`: the parts that are known."""
        parts = [("channel", self.channel_code), ("file", self.file), ("line", self.line), ("request", self.request_id)]
        return ", ".join([self.place, *(f"{name} {value}" for name, value in parts if value is not None)])


@dataclass(frozen=True)
class Change:
    """A change of an incident's state that people may want to be told."""

    change_id: int
    incident: Incident
    change: ChangeKind
    at: datetime


@dataclass(frozen=True)
class Refreshed:
    """What one refresh found: changes of state by kind, and incidents open after it. ``is_skipped``: another one was at it."""

    opened: tuple[int, ...] = ()
    reopened: tuple[int, ...] = ()
    worsened: tuple[int, ...] = ()
    closed: tuple[int, ...] = ()
    open_qty: int = 0
    is_skipped: bool = False


ImpactOf: TypeAlias = Callable[[Signal], Impact]


class Incidents:
    """Incidents and their changes. Safe to use from several processes and threads."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def generation(self) -> tuple[int, datetime | None]:
        """A number that grows with every refresh, and when the last one was. Taken before the facts are read."""
        with self._transactions.reading() as connection:
            return _generation(connection)

    def settle(
        self,
        signals: Sequence[Signal],
        *,
        generation: int,
        now: datetime,
        damping: timedelta,
        impact: ImpactOf,
    ) -> Refreshed:
        """Make the open incidents those of ``signals``: open, keep and close, in one transaction, each change noted to be told.

        ``damping``: an incident that comes back within it is the same one, and its end is told only after it has lasted so long.
        Nothing is done when another refresh ended since ``generation`` was taken: its facts are newer.
        """
        found = {signal.fingerprint: signal for signal in signals}
        known = {one.fingerprint for one in self.find(status="open")}
        # Outside the transaction: the first look at the graph may take a while.
        touched = {key: impact(signal) for key, signal in found.items() if key not in known}
        opened: list[int] = []
        reopened: list[int] = []
        worsened: list[int] = []
        closed: list[int] = []
        with self._settling() as connection:
            current, _ = _generation(connection)
            if current != generation:
                return Refreshed(open_qty=len(known), is_skipped=True)
            before = {
                row["fingerprint"]: row
                for row in connection.execute(sa.select(incident).where(incident.c.status == "open")).mappings()
            }
            for key, row in before.items():
                if key not in found:
                    _close(connection, row, now=now, damping=damping)
                    closed.append(row["incident_id"])
                    continue
                signal = found[key]
                is_worse = signal.severity == "error" and row["severity"] == "warning"
                is_unmuted = row["muted_until_at"] is not None and row["muted_until_at"] <= now
                values = _values(signal) | {
                    "last_seen_at": now,
                    "occurrences_qty": max(row["occurrences_qty"], signal.occurrences_qty),
                    "since_at": min(row["since_at"], signal.since_at),
                }
                if is_unmuted:
                    values["muted_until_at"] = None
                    _note(connection, row["incident_id"], "reminder", now=now)
                elif is_worse and not _is_muted(row, now):
                    _note(connection, row["incident_id"], "worsened", now=now)
                if is_worse:
                    worsened.append(row["incident_id"])
                _update(connection, row["incident_id"], values)
            for key, signal in found.items():
                if key in before:
                    continue
                last = _last_closed(connection, key)
                if last is not None and last["status"] == "accepted" and signal.since_at <= last["closed_at"]:
                    continue
                if last is not None and last["status"] == "closed" and now - last["closed_at"] < damping:
                    _reopen(connection, last, signal, now=now)
                    reopened.append(last["incident_id"])
                    continue
                muted = last if last is not None and _is_muted(last, now) else None
                opened.append(_open(connection, signal, touched.get(key, Impact()), muted=muted, now=now))
            connection.execute(sa.delete(refresh).where(refresh.c.name == _REFRESH))
            connection.execute(sa.insert(refresh).values(name=_REFRESH, generation=generation + 1, at=now))
            open_qty = connection.scalar(
                sa.select(sa.func.count()).select_from(incident).where(incident.c.status == "open")
            )
        return Refreshed(tuple(opened), tuple(reopened), tuple(worsened), tuple(closed), open_qty or 0)

    def find(
        self, *, status: Status | None = None, since_at: datetime | None = None, limit: int | None = None
    ) -> list[Incident]:
        """Incidents, the newest first. ``since_at``: those seen since then."""
        statement = sa.select(incident).order_by(incident.c.incident_id.desc())
        if status is not None:
            statement = statement.where(incident.c.status == status)
        if since_at is not None:
            statement = statement.where(incident.c.last_seen_at >= since_at)
        if limit is not None:
            statement = statement.limit(limit)
        with self._transactions.reading() as connection:
            return [_record(dict(row)) for row in connection.execute(statement).mappings()]

    def get(self, incident_id: int) -> Incident | None:
        """One incident, or None."""
        with self._transactions.reading() as connection:
            row = (
                connection.execute(sa.select(incident).where(incident.c.incident_id == incident_id)).mappings().first()
            )
        return None if row is None else _record(dict(row))

    def changes(self, incident_id: int) -> list[tuple[ChangeKind, datetime, str]]:
        """(change, instant, waiting | told | dropped) of one incident, oldest first."""
        with self._transactions.reading() as connection:
            rows = connection.execute(
                sa.select(change.c.change, change.c.at, change.c.state)
                .where(change.c.incident_id == incident_id)
                .order_by(change.c.change_id)
            )
            return [(row.change, row.at, row.state) for row in rows]

    def mute(self, incident_id: int, *, until_at: datetime, by: str, note: str) -> bool:
        """Tell nothing about an incident until an instant; whether there is such an open one. It is told again if it lasts."""
        values = {"muted_until_at": until_at, "handled_by": by, "note": note}
        with self._settling() as connection:
            done = connection.execute(
                sa.update(incident)
                .where(incident.c.incident_id == incident_id, incident.c.status == "open")
                .values(**values)
            ).rowcount
            if done:
                _drop_waiting(connection, incident_id)
        return bool(done)

    def accept(self, incident_id: int, *, by: str, note: str, now: datetime) -> bool:
        """A person says that it is dealt with: it is over, until the same trouble begins anew. Whether it was open."""
        with self._settling() as connection:
            row = (
                connection.execute(
                    sa.select(incident).where(incident.c.incident_id == incident_id, incident.c.status == "open")
                )
                .mappings()
                .first()
            )
            if row is None:
                return False
            _close(connection, row, now=now, damping=timedelta(0))
            _update(connection, incident_id, {"status": "accepted", "handled_by": by, "note": note})
        return True

    @contextmanager
    def _settling(self) -> Iterator[Connection]:
        """A transaction that moves incidents: one at a time, as SQLite has it anyway."""
        with self._transactions.writing() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('etalon.incidents'))"))
            yield connection


def due_changes(connection: Connection, *, now: datetime) -> list[Change]:
    """Changes that wait to be told and are due, oldest first."""
    rows = connection.execute(
        sa.select(change.c.change_id, change.c.change, change.c.at, *incident.c)
        .join(incident)
        .where(change.c.state == "waiting", change.c.due_at <= now)
        .order_by(change.c.change_id)
    ).mappings()
    names = {column.name for column in incident.c}
    return [
        Change(row["change_id"], _record({name: row[name] for name in names}), row["change"], row["at"]) for row in rows
    ]


def mark_changes(connection: Connection, change_ids: Sequence[int], state: Literal["told", "dropped"]) -> None:
    """Note that changes were told, or that there is nobody to tell."""
    connection.execute(sa.update(change).where(change.c.change_id.in_(change_ids)).values(state=state))


def _generation(connection: Connection) -> tuple[int, datetime | None]:
    row = connection.execute(sa.select(refresh.c.generation, refresh.c.at).where(refresh.c.name == _REFRESH)).first()
    return (0, None) if row is None else (row.generation, row.at)


def _open(connection: Connection, signal: Signal, touched: Impact, *, muted: Any, now: datetime) -> int:
    inherited = {} if muted is None else {name: muted[name] for name in ("muted_until_at", "handled_by", "note")}
    values = {
        "fingerprint": signal.fingerprint,
        "open_key": signal.fingerprint,
        "status": "open",
        "impact": json.dumps(asdict(touched)),
        "reopened_qty": 0,
        "opened_at": now,
        "last_seen_at": now,
        **_values(signal),
        **inherited,
    }
    done = connection.execute(sa.insert(incident).values(**values))
    incident_id = int(done.inserted_primary_key[0]) if done.inserted_primary_key else 0
    if muted is None:
        _note(connection, incident_id, "opened", now=now)
    return incident_id


def _reopen(connection: Connection, row: Any, signal: Signal, *, now: datetime) -> None:
    """The same incident again. Its end was not told yet, so there is nothing to take back but that message."""
    _drop_waiting(connection, row["incident_id"], only="closed")
    _update(
        connection,
        row["incident_id"],
        _values(signal)
        | {
            "status": "open",
            "open_key": signal.fingerprint,
            "closed_at": None,
            "last_seen_at": now,
            "reopened_qty": row["reopened_qty"] + 1,
            "occurrences_qty": row["occurrences_qty"] + signal.occurrences_qty,
            "since_at": min(row["since_at"], signal.since_at),
        },
    )
    if signal.severity == "error" and row["severity"] == "warning" and not _is_muted(row, now):
        _note(connection, row["incident_id"], "worsened", now=now)


def _close(connection: Connection, row: Any, *, now: datetime, damping: timedelta) -> None:
    _update(connection, row["incident_id"], {"status": "closed", "open_key": None, "closed_at": now})
    # What was not told yet is no news any more; an end is news only to who was told of the beginning.
    _drop_waiting(connection, row["incident_id"])
    was_told = connection.scalar(
        sa.select(sa.func.count())
        .select_from(change)
        .where(change.c.incident_id == row["incident_id"], change.c.change == "opened", change.c.state == "told")
    )
    if was_told and not _is_muted(row, now):
        _note(connection, row["incident_id"], "closed", now=now, due_at=now + damping)


def _note(
    connection: Connection, incident_id: int, what: ChangeKind, *, now: datetime, due_at: datetime | None = None
) -> None:
    connection.execute(
        sa.insert(change).values(incident_id=incident_id, change=what, at=now, due_at=due_at or now, state="waiting")
    )


def _drop_waiting(connection: Connection, incident_id: int, *, only: ChangeKind | None = None) -> None:
    statement = sa.update(change).where(change.c.incident_id == incident_id, change.c.state == "waiting")
    if only is not None:
        statement = statement.where(change.c.change == only)
    connection.execute(statement.values(state="dropped"))


def _last_closed(connection: Connection, fingerprint: str) -> Any:
    return (
        connection.execute(
            sa.select(incident)
            .where(incident.c.fingerprint == fingerprint, incident.c.status != "open")
            .order_by(incident.c.incident_id.desc())
            .limit(1)
        )
        .mappings()
        .first()
    )


def _is_muted(row: Any, now: datetime) -> bool:
    return row["muted_until_at"] is not None and row["muted_until_at"] > now


def _update(connection: Connection, incident_id: int, values: Mapping[str, Any]) -> None:
    connection.execute(sa.update(incident).where(incident.c.incident_id == incident_id).values(**values))


def _values(signal: Signal) -> dict[str, Any]:
    names = (
        "kind", "severity", "system_code", "stream", "channel_code", "file", "line", "request_id", "what", "action",
        "since_at", "occurrences_qty",
    )  # fmt: skip
    return {name: getattr(signal, name) for name in names} | {"evidence": json.dumps(dict(signal.evidence))}


def _record(row: Mapping[str, Any]) -> Incident:
    values = {name: value for name, value in row.items() if name != "open_key"}
    values["evidence"] = json.loads(values["evidence"])
    values["impact"] = Impact(**{name: tuple(codes) for name, codes in json.loads(values["impact"]).items()})
    return Incident(**values)
