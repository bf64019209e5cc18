"""The outbox: what is to be written to systems, one row per value, and how its rows move.

::

    put -> pending -> claimed -> done      written or already so
                 ^        |----> moved     neither what it was made on nor what is wanted: to be planned again
                 |        |----> dead      refused, not kept, or tried too often: a dead letter
                 '--------'                may work later, or its worker died and the lease ran out
           pending -> replaced             a newer value for the same place came before it was sent
           dead -> pending | dropped | replaced

For each value (target, entity, external id, location, attribute) at most one row is pending and at most one is claimed.
Belongs here: the table, and every move of its rows, each in one transaction. Nothing is sent from here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.operations import tables as t
from resources.operations.engine import Transactions
from resources.operations.receipts import Json, WriteKey, add_receipts, json_text, json_value
from resources.operations.records import ExchangeEntry
from resources.operations.tables import UtcInstant, metadata

_V = TypeVar("_V")

Origin: TypeAlias = Literal["plan", "fast_lane", "revert"]
State: TypeAlias = Literal["pending", "claimed", "done", "moved", "dead", "replaced", "dropped"]

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("outbox_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("key", sa.String(64), nullable=False, comment="idempotency key, from the content"),
    sa.Column(
        "value_key", sa.String(64), nullable=False, comment="digest of the place: target, entity, id, location, …"
    ),
    sa.Column("pending_key", sa.String(64), unique=True, comment="value_key while pending, else null"),
    sa.Column("claimed_key", sa.String(64), unique=True, comment="value_key while claimed, else null"),
    sa.Column("target", sa.String(64), nullable=False, comment="system to write to"),
    sa.Column("channel_code", sa.String(64), nullable=False),
    sa.Column("origin", sa.String(16), nullable=False, comment="plan, fast_lane, revert"),
    sa.Column("plan_id", sa.String(64), index=True),
    sa.Column("entity", sa.String(64), nullable=False),
    sa.Column("external_id", sa.String(255), nullable=False),
    sa.Column("location_code", sa.String(64), nullable=False),
    sa.Column("attribute", sa.String(64), nullable=False),
    sa.Column("product_id", sa.Text, nullable=False),
    sa.Column("before", sa.Text, nullable=False, comment="JSON"),
    sa.Column("after", sa.Text, nullable=False, comment="JSON"),
    sa.Column("reason", sa.Text, nullable=False, comment="why it is wanted"),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("outcome", sa.String(16), comment="of the last attempt"),
    sa.Column("error", sa.Text, comment="the target's own words, of the last attempt that did not work"),
    sa.Column(
        "claims", sa.Integer, nullable=False, comment="how often it was claimed; tells a late worker from a present one"
    ),
    sa.Column("failures", sa.Integer, nullable=False, comment="attempts that the target itself turned down for now"),
    sa.Column("claimed_by", sa.String(128)),
    sa.Column("lease_until_at", UtcInstant),
    sa.Column("next_attempt_at", UtcInstant, nullable=False),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("changed_at", UtcInstant, nullable=False),
    sa.Column("changed_by", sa.String(128), comment="who replayed, dropped or withdrew it"),
    sa.Column("is_unsure", sa.Boolean, comment="an earlier attempt may have been done: its answer never came"),
    sa.Index("outbox_to_claim", "target", "state", "next_attempt_at"),
    sa.Index("outbox_by_value", "value_key", "state"),
)


@dataclass(frozen=True)
class NewWrite:
    """One value to write. ``before``: what the decision was made on; ``after``: what is wanted; ``reason``: why, in words."""

    target: str
    channel_code: str
    origin: Origin
    plan_id: str | None
    entity: str
    external_id: str
    location_code: str
    attribute: str
    before: Json
    after: Json
    product_id: str
    reason: str

    @property
    def value_key(self) -> str:
        """Digest of the place that is written: one row per place is open."""
        return _digest(self.target, self.entity, self.external_id, self.location_code, self.attribute)

    @property
    def key(self) -> str:
        """Idempotency key: the same content is the same write."""
        return _digest(self.value_key, json_text(self.before), json_text(self.after))


@dataclass(frozen=True)
class OutboxRow:
    """A row of the outbox. ``claims`` tells the claim a worker holds from a later one; ``value_key`` names the place written.

    ``is_unsure``: an earlier attempt may have been done all the same, since nobody heard its answer.
    """

    outbox_id: int
    key: str
    value_key: str
    target: str
    channel_code: str
    origin: Origin
    plan_id: str | None
    entity: str
    external_id: str
    location_code: str
    attribute: str
    product_id: str
    before: Json
    after: Json
    reason: str
    state: State
    outcome: str | None
    error: str | None
    claims: int
    failures: int
    claimed_by: str | None
    lease_until_at: datetime | None
    next_attempt_at: datetime
    created_at: datetime
    changed_at: datetime
    changed_by: str | None
    is_unsure: bool = False

    @property
    def write_key(self) -> WriteKey:
        """Which value of the target it is about."""
        return (self.entity, self.external_id, self.location_code, self.attribute)


@dataclass(frozen=True)
class PutResult:
    """How many writes were queued (``replaced`` of them in the place of an older pending one), and how many already were.

    ``newer``: writes that gave way to the fast lane, which knew of a sale that they did not.
    """

    queued: int
    replaced: int
    already: int
    newer: int = 0


class Answer(Protocol):
    """What settles a row: a `WriteResult` of `resources.connectors.sdk.writing`."""

    @property
    def key(self) -> str: ...
    @property
    def outcome(self) -> str: ...
    @property
    def found(self) -> Json: ...
    @property
    def read_back(self) -> Json: ...
    @property
    def is_found(self) -> bool: ...
    @property
    def is_read_back(self) -> bool: ...
    @property
    def reason(self) -> str: ...
    @property
    def request_id(self) -> str | None: ...
    @property
    def retry_after_s(self) -> float | None: ...


@dataclass(frozen=True)
class RetryPolicy:
    """How long a write that may work later waits, and when it is given up. Seconds.

    The wait doubles from ``first_s`` to ``longest_s`` with up to a fifth more, taken from the key, so that a thousand writes
    do not come back in the same instant. ``failures_max``: how often the target itself may turn a write down; a target that
    answers nobody uses none of them up, so an outage of a day kills no write.
    """

    first_s: float = 5.0
    longest_s: float = 900.0
    failures_max: int = 10

    def wait_s(self, key: str, attempt: int, wished_s: float | None = None) -> float:
        """Seconds until the attempt after ``attempt`` (1 is the first one). The server's own wish is a minimum."""
        doubled = min(self.longest_s, self.first_s * 2.0 ** min(attempt - 1, 30))
        spread = int(_digest(key, str(attempt))[:8], 16) / 0xFFFFFFFF
        return max(doubled * (1 + spread / 5), wished_s or 0.0)


DEFAULT_POLICY = RetryPolicy()

CLOCK_SKEW = timedelta(minutes=5)
"""How far in the future a row may have been changed: beyond it the clock was put back since, and its instants mean nothing."""

_STATE_OF: Mapping[str, State] = {
    "applied": "done",
    "unchanged": "done",
    "moved": "moved",
    "refused": "dead",
    "not_kept": "dead",
}


@contextmanager
def moving(transactions: Transactions) -> Iterator[Connection]:
    """A transaction that moves rows of the outbox: one at a time, as SQLite has it anyway. They are short."""
    with transactions.writing() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('etalon.outbox'))"))
        yield connection


class Outbox:
    """Writes on their way. Safe to use from several processes: two workers never hold the same row."""

    def __init__(self, transactions: Transactions, policy: RetryPolicy = DEFAULT_POLICY) -> None:
        self._transactions = transactions
        self.policy = policy

    def put(self, writes: Sequence[NewWrite], *, now: datetime) -> PutResult:
        """Queue writes. A newer value replaces a pending one of the same place; the same content is there already.

        While a row of the place is claimed, the newer one waits until that is settled. A dead letter of the place is replaced.
        """
        with moving(self._transactions) as connection:
            return put_writes(connection, writes, now=now)

    def claim(
        self,
        target: str,
        *,
        worker: str,
        now: datetime,
        limit: int,
        lease_s: float = 120.0,
        origins: Sequence[Origin] | None = None,
    ) -> list[OutboxRow]:
        """Take up to ``limit`` rows that may be sent now, oldest first; they are this worker's for ``lease_s`` seconds.

        All that waits for an item comes with its first row, over the limit if need be: a price and its promotion can only be
        judged together.
        Rows whose worker let the lease run out come back, before anything newer for the same place; their attempt may have been
        done. A clock that was put back keeps no row for ever: see :data:`CLOCK_SKEW`.
        """
        busy = outbox.alias("busy")
        is_busy = sa.exists().where(busy.c.claimed_key == outbox.c.value_key)
        due, expired = _due(now)
        ready = sa.select(outbox).where(outbox.c.target == target, (due & ~is_busy) | expired)
        if origins is not None:
            ready = ready.where(outbox.c.origin.in_(origins))
        with moving(self._transactions) as connection:
            first = ready.order_by(outbox.c.outbox_id).limit(limit)
            found = [dict(row) for row in connection.execute(first).mappings()]
            if not found:
                return []
            if len(found) == limit:
                taken_ids = [row["outbox_id"] for row in found]
                others = ready.where(
                    outbox.c.external_id.in_({row["external_id"] for row in found}),
                    outbox.c.outbox_id.not_in(taken_ids),
                ).order_by(outbox.c.outbox_id)
                found += [dict(row) for row in connection.execute(others).mappings()]
            lease_until_at = now + timedelta(seconds=lease_s)
            connection.execute(
                sa.update(outbox)
                .where(outbox.c.outbox_id.in_([row["outbox_id"] for row in found]))
                .values(
                    state="claimed",
                    pending_key=None,
                    claimed_key=outbox.c.value_key,
                    claimed_by=worker,
                    claims=outbox.c.claims + 1,
                    lease_until_at=lease_until_at,
                    changed_at=now,
                    is_unsure=sa.case((outbox.c.state == "claimed", sa.true()), else_=outbox.c.is_unsure),
                )
            )
            taken = {
                "state": "claimed",
                "claimed_by": worker,
                "lease_until_at": lease_until_at,
                "changed_at": now,
            }
            return [
                _record(
                    row
                    | taken
                    | {"claims": row["claims"] + 1, "is_unsure": row["state"] == "claimed" or row["is_unsure"]}
                )
                for row in found
            ]

    def settle(
        self,
        results: Sequence[Answer],
        rows: Sequence[OutboxRow],
        *,
        now: datetime,
        worker: str = "",
        run_id: str = "",
        journal: Sequence[ExchangeEntry] = (),
    ) -> dict[State, int]:
        """Move claimed rows by their results, write the receipts and the journal: all of it or nothing. Counts by new state.

        ``results`` answer ``rows`` in the same order. A row whose lease ran out and that another worker holds keeps its state,
        but what was written has its receipt all the same.
        """
        moves: dict[int, dict[str, Any]] = {}
        with moving(self._transactions) as connection:
            waiting = _waiting_behind(connection, rows)
            for row, result in zip(rows, results, strict=True):
                state, values = self._move(row, result, now)
                if state == "pending" and row.value_key in waiting:
                    state, values = "replaced", {"is_unsure": True}
                moves[row.outbox_id] = values | {
                    "state": state,
                    "outcome": result.outcome,
                    "error": None if state in ("done", "moved") else result.reason,
                }
            moved = _move_claimed(connection, rows, moves, now=now)
            _rebase(connection, rows, results, waiting)
            add_receipts(
                connection,
                [
                    _receipt(row, result, now=now, worker=worker, run_id=run_id)
                    for row, result in zip(rows, results, strict=True)
                ],
            )
            if journal:
                connection.execute(sa.insert(t.exchange), [asdict(entry) for entry in journal])
        return moved

    def put_back(
        self,
        rows: Sequence[OutboxRow],
        *,
        reason: str,
        now: datetime,
        wait_s: float | None = None,
        journal: Sequence[ExchangeEntry] = (),
    ) -> None:
        """Give claimed rows back when nothing at all was sent (the target does not answer): they wait, and use up no attempt."""
        with moving(self._transactions) as connection:
            waiting = _waiting_behind(connection, rows)
            moves: dict[int, dict[str, Any]] = {}
            for row in rows:
                wait = self.policy.wait_s(row.key, row.claims, wait_s)
                moves[row.outbox_id] = {
                    "state": "replaced" if row.value_key in waiting else "pending",
                    "outcome": "retry",
                    "error": reason,
                    "next_attempt_at": now + timedelta(seconds=wait),
                }
            _move_claimed(connection, rows, moves, now=now)
            if journal:
                connection.execute(sa.insert(t.exchange), [asdict(entry) for entry in journal])

    def dead_letters(
        self, *, target: str | None = None, channel_code: str | None = None, limit: int | None = None
    ) -> list[OutboxRow]:
        """Writes that were given up, oldest first."""
        conditions: list[sa.ColumnElement[bool]] = [outbox.c.state == "dead"]
        if target is not None:
            conditions.append(outbox.c.target == target)
        if channel_code is not None:
            conditions.append(outbox.c.channel_code == channel_code)
        return self._select(*conditions, limit=limit)

    def row(self, outbox_id: int) -> OutboxRow | None:
        """One row, or None."""
        return next(iter(self._select(outbox.c.outbox_id == outbox_id)), None)

    def of_plan(self, plan_id: str) -> list[OutboxRow]:
        """Rows of one plan, oldest first."""
        return self._select(outbox.c.plan_id == plan_id)

    def open_rows(
        self, *, channel_code: str | None = None, target: str | None = None, origins: Sequence[Origin] | None = None
    ) -> list[OutboxRow]:
        """Rows that are pending or claimed, oldest first."""
        conditions: list[sa.ColumnElement[bool]] = [outbox.c.state.in_(("pending", "claimed"))]
        if channel_code is not None:
            conditions.append(outbox.c.channel_code == channel_code)
        if target is not None:
            conditions.append(outbox.c.target == target)
        if origins is not None:
            conditions.append(outbox.c.origin.in_(origins))
        return self._select(*conditions)

    def replay(self, outbox_ids: Sequence[int], *, by: str, now: datetime) -> tuple[int, ...]:
        """Give dead letters another chance, at once. Gives the ids that were dead and now wait.

        A letter whose place has a newer row is not replayed: that one wins.
        """
        replayed = []
        with moving(self._transactions) as connection:
            dead = sa.select(outbox).where(outbox.c.outbox_id.in_(outbox_ids), outbox.c.state == "dead")
            rows = [_record(row) for row in connection.execute(dead.order_by(outbox.c.outbox_id)).mappings()]
            taken = _open_keys(connection, [row.value_key for row in rows])
            for row in rows:
                if row.value_key in taken:
                    continue
                taken.add(row.value_key)
                connection.execute(
                    sa.update(outbox)
                    .where(outbox.c.outbox_id == row.outbox_id)
                    .values(
                        state="pending",
                        pending_key=outbox.c.value_key,
                        failures=0,
                        next_attempt_at=now,
                        changed_at=now,
                        changed_by=by,
                    )
                )
                replayed.append(row.outbox_id)
        return tuple(replayed)

    def drop(self, outbox_ids: Sequence[int], *, by: str, now: datetime) -> tuple[int, ...]:
        """Give dead letters up for good. Gives the ids that were dead. If the difference lasts, the next plan shows it again."""
        dropped = []
        with moving(self._transactions) as connection:
            for outbox_id in outbox_ids:
                changed = connection.execute(
                    sa.update(outbox)
                    .where(outbox.c.outbox_id == outbox_id, outbox.c.state == "dead")
                    .values(state="dropped", changed_at=now, changed_by=by)
                ).rowcount
                if changed:
                    dropped.append(outbox_id)
        return tuple(dropped)

    def withdraw(
        self, outbox_ids: Sequence[int], *, by: str, now: datetime, state: State = "dropped"
    ) -> tuple[int, ...]:
        """Take back pending rows and dead letters that nobody wants any more; gives the ids taken back. What is claimed goes on."""
        withdrawn: list[int] = []
        with moving(self._transactions) as connection:
            for ids in _chunks(list(outbox_ids)):
                of_ids = outbox.c.outbox_id.in_(ids) & outbox.c.state.in_(("pending", "dead"))
                withdrawn += connection.scalars(sa.select(outbox.c.outbox_id).where(of_ids))
                connection.execute(
                    sa.update(outbox).where(of_ids).values(state=state, pending_key=None, changed_at=now, changed_by=by)
                )
        return tuple(withdrawn)

    def counts(
        self, *, target: str | None = None, channel_code: str | None = None, plan_id: str | None = None
    ) -> dict[State, int]:
        """How many rows are in each state."""
        statement = sa.select(outbox.c.state, sa.func.count()).group_by(outbox.c.state)
        if target is not None:
            statement = statement.where(outbox.c.target == target)
        if channel_code is not None:
            statement = statement.where(outbox.c.channel_code == channel_code)
        if plan_id is not None:
            statement = statement.where(outbox.c.plan_id == plan_id)
        with self._transactions.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def due(self, now: datetime, *, origins: Sequence[Origin] | None = None) -> dict[str, int]:
        """Target -> how many rows may be claimed now: what a worker or a sensor looks at."""
        due, expired = _due(now)
        statement = sa.select(outbox.c.target, sa.func.count()).where(due | expired).group_by(outbox.c.target)
        if origins is not None:
            statement = statement.where(outbox.c.origin.in_(origins))
        with self._transactions.reading() as connection:
            return {row[0]: row[1] for row in connection.execute(statement)}

    def _move(self, row: OutboxRow, result: Answer, now: datetime) -> tuple[State, dict[str, Any]]:
        """The state a result leads to, and what else changes."""
        if result.outcome in _STATE_OF:
            return _STATE_OF[result.outcome], {}
        if result.outcome != "retry":
            raise ValueError(f"a write has no outcome {result.outcome!r}")
        failures = row.failures + 1
        tried = {"failures": failures, "is_unsure": True}
        if failures >= self.policy.failures_max:
            return "dead", tried
        wait = self.policy.wait_s(row.key, failures, result.retry_after_s)
        return "pending", tried | {"next_attempt_at": now + timedelta(seconds=wait)}

    def _select(self, *conditions: sa.ColumnElement[bool], limit: int | None = None) -> list[OutboxRow]:
        statement = sa.select(outbox).where(*conditions).order_by(outbox.c.outbox_id).limit(limit)
        with self._transactions.reading() as connection:
            return [_record(row) for row in connection.execute(statement).mappings()]


def put_writes(
    connection: Connection, writes: Sequence[NewWrite], *, now: datetime, decided_at: datetime | None = None
) -> PutResult:
    """See :meth:`Outbox.put`; in the caller's transaction, one of :func:`moving`. The last of several for one place counts.

    ``decided_at``: when it was decided what these writes want, where that is not now. What the fast lane asked for since knows of
    sales that they do not: they give way to it.
    """
    newest = {write.value_key: write for write in writes}
    there: dict[str, dict[State, list[Any]]] = {}
    for keys in _chunks(list(newest)):
        statement = sa.select(
            *(outbox.c[name] for name in ("outbox_id", "value_key", "state", "after", "key")),
            *(outbox.c[name] for name in ("origin", "created_at", "is_unsure")),
        )
        found = statement.where(outbox.c.value_key.in_(keys), outbox.c.state.in_(("pending", "claimed", "dead")))
        for row in connection.execute(found):
            there.setdefault(row.value_key, {}).setdefault(row.state, []).append(row)
    old: list[int] = []
    new: list[dict[str, Any]] = []
    replaced = newer = 0
    for value_key, write in newest.items():
        by_state = there.get(value_key, {})
        pending, claimed, dead = (by_state.get(state, []) for state in ("pending", "claimed", "dead"))
        key, after = write.key, json_text(write.after)
        if decided_at is not None and any(
            row.origin == "fast_lane" and row.created_at >= decided_at for row in (*pending, *claimed)
        ):
            newer += 1
            continue
        if pending[0].key == key if pending else claimed and claimed[0].after == after:
            continue
        old += [row.outbox_id for row in (*pending, *dead)]
        replaced += len(pending)
        new.append(
            asdict(write)
            | {
                "before": json_text(write.before),
                "after": after,
                "key": key,
                "value_key": value_key,
                "pending_key": value_key,
                "state": "pending",
                "claims": 0,
                "failures": 0,
                "next_attempt_at": now,
                "created_at": now,
                "changed_at": now,
                "is_unsure": any(row.is_unsure and row.after == after for row in (*pending, *dead)),
            }
        )
    for ids in _chunks(old):
        connection.execute(
            sa.update(outbox)
            .where(outbox.c.outbox_id.in_(ids))
            .values(state="replaced", pending_key=None, changed_at=now)
        )
    if new:
        connection.execute(sa.insert(outbox), new)
    return PutResult(len(new), replaced, len(newest) - len(new) - newer, newer)


def _due(now: datetime) -> tuple[sa.ColumnElement[bool], sa.ColumnElement[bool]]:
    """Rows that wait and may be sent now, and claimed ones whose worker let its lease run out."""
    is_from_the_future = outbox.c.changed_at > now + CLOCK_SKEW
    due = (outbox.c.state == "pending") & ((outbox.c.next_attempt_at <= now) | is_from_the_future)
    expired = (outbox.c.state == "claimed") & ((outbox.c.lease_until_at <= now) | is_from_the_future)
    return due, expired


def _chunks(values: Sequence[_V]) -> Iterator[Sequence[_V]]:
    """Parts small enough for one statement: databases limit how many values it may hold."""
    for start in range(0, len(values), 500):
        yield values[start : start + 500]


def _open_keys(connection: Connection, value_keys: Sequence[str]) -> set[str]:
    """Which of these places have a pending or claimed row."""
    return {
        key
        for keys in _chunks(value_keys)
        for key in connection.scalars(
            sa.select(outbox.c.value_key).where(
                outbox.c.value_key.in_(keys), outbox.c.state.in_(("pending", "claimed"))
            )
        )
    }


def _waiting_behind(connection: Connection, rows: Sequence[OutboxRow]) -> dict[str, OutboxRow]:
    """The pending rows of the places of claimed ``rows``, by place: they are newer, a claim never overtakes one."""
    return {
        row["value_key"]: _record(row)
        for part in _chunks(rows)
        for row in connection.execute(
            sa.select(outbox).where(outbox.c.pending_key.in_([row.value_key for row in part]))
        ).mappings()
    }


def _move_claimed(
    connection: Connection, rows: Sequence[OutboxRow], moves: Mapping[int, Mapping[str, Any]], *, now: datetime
) -> dict[State, int]:
    """Move the rows whose claim is still the one that ``rows`` tell; gives how many by new state."""
    mine = {(row.outbox_id, row.claims) for row in rows}
    held = {
        row.outbox_id
        for part in _chunks(rows)
        for row in connection.execute(
            sa.select(outbox.c.outbox_id, outbox.c.claims).where(
                outbox.c.outbox_id.in_([row.outbox_id for row in part]), outbox.c.state == "claimed"
            )
        )
        if (row.outbox_id, row.claims) in mine
    }
    changes = []
    moved: dict[State, int] = {}
    for row in rows:
        if row.outbox_id not in held:
            continue
        move = moves[row.outbox_id]
        state: State = move["state"]
        moved[state] = moved.get(state, 0) + 1
        changes.append(
            {
                "the_row": row.outbox_id,
                "state": state,
                "pending_key": row.value_key if state == "pending" else None,
                "outcome": move["outcome"],
                "error": move["error"],
                "failures": move.get("failures", row.failures),
                "next_attempt_at": move.get("next_attempt_at", row.next_attempt_at),
                "is_unsure": move.get("is_unsure", row.is_unsure),
                "changed_at": now,
            }
        )
    if changes:
        connection.execute(
            sa.update(outbox)
            .where(outbox.c.outbox_id == sa.bindparam("the_row"))
            .values(claimed_key=None, claimed_by=None, lease_until_at=None),
            changes,
        )
    return moved


def _rebase(
    connection: Connection, rows: Sequence[OutboxRow], results: Sequence[Answer], waiting: Mapping[str, OutboxRow]
) -> None:
    """A write that waited behind another was made on what that one replaced: it is compared with what is there now."""
    for row, result in zip(rows, results, strict=True):
        later = waiting.get(row.value_key)
        if later is None or not (result.is_read_back or result.is_found):
            continue
        seen = json_text(result.read_back if result.is_read_back else result.found)
        if seen != json_text(row.after):
            continue  # what is there is neither's: the one that waits will find that it moved
        connection.execute(
            sa.update(outbox)
            .where(outbox.c.outbox_id == later.outbox_id)
            .values(before=seen, key=_digest(row.value_key, seen, json_text(later.after)))
        )


def _receipt(row: OutboxRow, result: Answer, *, now: datetime, worker: str, run_id: str) -> dict[str, Any]:
    return {
        "outbox_id": row.outbox_id,
        "key": row.key,
        "target": row.target,
        "channel_code": row.channel_code,
        "origin": row.origin,
        "plan_id": row.plan_id,
        "entity": row.entity,
        "external_id": row.external_id,
        "location_code": row.location_code,
        "attribute": row.attribute,
        "product_id": row.product_id,
        "before": json_text(row.before),
        "after": json_text(row.after),
        "found": json_text(result.found) if result.is_found else None,
        "read_back": json_text(result.read_back) if result.is_read_back else None,
        "outcome": result.outcome,
        "reason": result.reason,
        "request_id": result.request_id,
        "worker": worker or row.claimed_by or "",
        "run_id": run_id,
        "written_at": now,
    }


def _record(row: Mapping[Any, Any]) -> OutboxRow:
    values = {name: row[name] for name in OutboxRow.__dataclass_fields__}
    values["is_unsure"] = bool(values["is_unsure"])
    return OutboxRow(**values | {name: json_value(values[name]) for name in ("before", "after")})


def _digest(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
