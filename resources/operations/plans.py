"""Plans: what a sync would write to a channel, who let it, and what became of it.

::

    held -> approved | rejected | superseded
    approved -> applying | superseded
    applying -> applied | applied_with_errors      from the rows of its outbox
    applying -> applied_with_errors | rejected     stopped by a person: what waited is dropped
    applied | applied_with_errors -> reverted

Belongs here: the tables, and every change of a plan's status, each in one transaction. What is planned, and what holds a plan,
is in `resources.sync`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, TypeAlias

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from resources.errors import PermanentError, Where
from resources.operations.engine import Transactions
from resources.operations.inserting import insert_many
from resources.operations.outbox import NewWrite, Origin, PutResult, State, moving, outbox, put_writes
from resources.operations.receipts import Json, WriteKey, json_text, json_value
from resources.operations.tables import UtcInstant, metadata

PlanStatus: TypeAlias = Literal[
    "held", "approved", "rejected", "applying", "applied", "applied_with_errors", "superseded", "reverted"
]
PlanOrigin: TypeAlias = Literal["reconcile", "revert"]

plan = sa.Table(
    "plan",
    metadata,
    sa.Column("plan_id", sa.String(64), primary_key=True),
    sa.Column("channel_code", sa.String(64), nullable=False),
    sa.Column("system_code", sa.String(64), nullable=False),
    sa.Column("subject", sa.String(32), nullable=False, comment="stock, price, publication, shipment"),
    sa.Column("origin", sa.String(16), nullable=False, comment="reconcile, revert"),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, comment="of its lines: the same content is the same plan"),
    sa.Column("held_reasons", sa.Text, nullable=False, comment="JSON: what each guard measured, its limit, what to do"),
    sa.Column("lines_qty", sa.BigInteger, nullable=False, comment="skipped ones left out"),
    sa.Column("units_at_risk", sa.BigInteger, nullable=False),
    sa.Column("value_at_risk_minor", sa.BigInteger, nullable=False),
    sa.Column("currency_code", sa.String(3), nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("changed_at", UtcInstant, nullable=False),
    sa.Column("decided_by", sa.String(128)),
    sa.Column("decided_at", UtcInstant),
    sa.Column("note", sa.Text, nullable=False),
    sa.Column("reverts_plan_id", sa.String(64)),
    sa.Column("lapsed_at", UtcInstant, comment="when nothing differed any more after it was rejected"),
    sa.Index("plan_by_subject", "channel_code", "subject", "status"),
)

plan_line = sa.Table(
    "plan_line",
    metadata,
    sa.Column("plan_id", sa.ForeignKey("plan.plan_id"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("entity", sa.String(64), nullable=False),
    sa.Column("external_id", sa.String(255), nullable=False),
    sa.Column("location_code", sa.String(64), nullable=False),
    sa.Column("attribute", sa.String(64), nullable=False),
    sa.Column("product_id", sa.Text, nullable=False),
    sa.Column("sku", sa.Text, nullable=False),
    sa.Column("before", sa.Text, nullable=False, comment="JSON"),
    sa.Column("after", sa.Text, nullable=False, comment="JSON"),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("units_at_risk", sa.BigInteger, nullable=False),
    sa.Column("value_at_risk_minor", sa.BigInteger, nullable=False),
    sa.Column("currency_code", sa.String(3), nullable=False),
    sa.Column("observed_at", UtcInstant),
    sa.Column("skipped", sa.Text, comment="why it is shown and not written; null: it is written"),
)


@dataclass(frozen=True)
class HeldReason:
    """Why a guard holds a plan: what it looks at, what it measured, its limit, some lines, and what to do."""

    guard: str
    what: str
    measured: str
    limit: str
    action: str
    examples: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlanLine:
    """One value to write. Money in minor units of ``currency_code``. ``skipped``: why it is shown and not written."""

    entity: str
    external_id: str
    attribute: str
    before: Json
    after: Json
    reason: str
    location_code: str = ""
    product_id: str = ""
    sku: str = ""
    units_at_risk: int = 0
    value_at_risk_minor: int = 0
    currency_code: str = ""
    observed_at: datetime | None = None
    skipped: str | None = None

    @property
    def write_key(self) -> WriteKey:
        """Which value of the system it is about."""
        return (self.entity, self.external_id, self.location_code, self.attribute)


@dataclass(frozen=True)
class Plan:
    """What is to be written to one channel of one subject. ``lines_qty`` and the sums leave skipped lines out."""

    plan_id: str
    channel_code: str
    system_code: str
    subject: str
    origin: PlanOrigin
    status: PlanStatus
    digest: str
    held_reasons: tuple[HeldReason, ...]
    lines_qty: int
    units_at_risk: int
    value_at_risk_minor: int
    currency_code: str
    run_id: str
    created_at: datetime
    changed_at: datetime
    decided_by: str | None = None
    decided_at: datetime | None = None
    note: str = ""
    reverts_plan_id: str | None = None
    lapsed_at: datetime | None = None
    """When nothing differed any more after it was rejected: what differs later is a new case, though it look the same."""
    counts: Mapping[State, int] = field(default_factory=dict)
    """Rows of its outbox by state; empty before it is applied."""


@dataclass(frozen=True)
class Proposal:
    """What became of a proposed plan.

    ``result``: `new` (stored, as held or approved), `open` (the same content is held, approved or being applied already),
    `rejected` (a person rejected this very content), `empty` (nothing to write: nothing is stored).
    """

    result: Literal["new", "open", "rejected", "empty"]
    plan: Plan | None = None
    superseded: tuple[str, ...] = ()


def plan_digest(channel_code: str, subject: str, lines: Sequence[PlanLine]) -> str:
    """Digest of what would be written: the same lines in any order give the same one."""
    content = sorted(
        (*line.write_key, json_text(line.before), json_text(line.after)) for line in lines if not line.skipped
    )
    return hashlib.sha256(json.dumps([channel_code, subject, content]).encode()).hexdigest()


class PlanMoved(PermanentError):
    """The plan is not in a status from which it could do what was asked."""


class Plans:
    """Every plan that had something to write, and its lines."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def propose(
        self,
        *,
        channel_code: str,
        system_code: str,
        subject: str,
        lines: Sequence[PlanLine],
        held_reasons: Sequence[HeldReason],
        run_id: str,
        now: datetime,
        origin: PlanOrigin = "reconcile",
        reverts_plan_id: str | None = None,
    ) -> Proposal:
        """Store a plan: held when a guard has something to say, else approved.

        It supersedes what nobody has decided or begun of the same channel and subject (reverts are left alone). The same content
        gives no second plan: while one is open it stays as it is, unless no guard holds it any more; one that was rejected is
        not proposed again until the content changes, or nothing differed in between.
        """
        written = [line for line in lines if not line.skipped]
        if not written:
            return self._nothing_left(channel_code, subject, origin, now)
        digest = plan_digest(channel_code, subject, lines)
        of_subject = (plan.c.channel_code == channel_code) & (plan.c.subject == subject) & (plan.c.origin == origin)
        with moving(self._transactions) as connection:
            known = [
                _record(row)
                for row in connection.execute(
                    sa.select(plan)
                    .where(of_subject)
                    .order_by(plan.c.created_at.desc(), plan.c.plan_id.desc())
                    .limit(200)
                ).mappings()
            ]
            same = [found for found in known if found.digest == digest and found.reverts_plan_id == reverts_plan_id]
            for found in same:
                if found.status in ("approved", "applying"):
                    return Proposal("open", found)
                if found.status == "held" and held_reasons:
                    # The content is the same, what the guards say of it is today's.
                    reasons = _reasons_text(held_reasons)
                    connection.execute(
                        sa.update(plan).where(plan.c.plan_id == found.plan_id).values(held_reasons=reasons)
                    )
                    return Proposal("open", replace(found, held_reasons=tuple(held_reasons)))
            last = known[0] if known else None
            if last is not None and last in same and last.status == "rejected" and last.lapsed_at is None:
                return Proposal("rejected", last)
            superseded = tuple(
                found.plan_id for found in known if origin == "reconcile" and found.status in ("held", "approved")
            )
            self._supersede(connection, superseded, now)
            made = Plan(
                plan_id=_plan_id(channel_code, subject, digest, len(known), now),
                channel_code=channel_code,
                system_code=system_code,
                subject=subject,
                origin=origin,
                status="held" if held_reasons else "approved",
                digest=digest,
                held_reasons=tuple(held_reasons),
                lines_qty=len(written),
                units_at_risk=sum(line.units_at_risk for line in written),
                value_at_risk_minor=sum(line.value_at_risk_minor for line in written),
                currency_code=next((line.currency_code for line in written if line.currency_code), ""),
                run_id=run_id,
                created_at=now,
                changed_at=now,
                reverts_plan_id=reverts_plan_id,
            )
            connection.execute(sa.insert(plan).values(_plan_values(made)))
            insert_many(
                connection,
                plan_line,
                [_line_values(line, made.plan_id, number) for number, line in enumerate(lines, start=1)],
            )
        return Proposal("new", made, superseded)

    def approve(self, plan_id: str, *, by: str, now: datetime, note: str = "") -> Plan:
        """A person lets a held plan be written. Raises PlanMoved when it is not held."""
        return self._decide(plan_id, "approved", by=by, now=now, note=note)

    def reject(self, plan_id: str, *, by: str, now: datetime, note: str = "") -> Plan:
        """A person refuses a held plan. Raises PlanMoved when it is not held."""
        return self._decide(plan_id, "rejected", by=by, now=now, note=note)

    def stop(self, plan_id: str, *, by: str, now: datetime, note: str = "") -> Plan:
        """A person stops a plan that is being applied: what of it still waits is dropped.

        It ends as it stands, or as rejected where nothing of it was written. Raises PlanMoved while a worker is writing rows of it.
        """
        with moving(self._transactions) as connection:
            found = self._get(connection, plan_id)
            if found.status != "applying":
                return found
            if found.counts.get("claimed"):
                raise PlanMoved(
                    f"rows of plan {found.plan_id} are being written just now",
                    where=Where(system_code=found.system_code, field="plan"),
                    action="try again in a moment",
                )
            connection.execute(
                sa.update(outbox)
                .where(outbox.c.plan_id == found.plan_id, outbox.c.state == "pending")
                .values(state="dropped", pending_key=None, changed_at=now, changed_by=by)
            )
            status: PlanStatus = "applied_with_errors" if found.counts.get("done") else "rejected"
            connection.execute(
                sa.update(plan)
                .where(plan.c.plan_id == found.plan_id)
                .values(status=status, decided_by=by, decided_at=now, note=note, changed_at=now)
            )
            return self._get(connection, found.plan_id)

    def begin(self, plan_id: str, *, now: datetime) -> PutResult:
        """Put an approved plan's lines in the outbox; from here it is being applied. Begun before: nothing happens."""
        with moving(self._transactions) as connection:
            found = self._get(connection, plan_id)
            if found.status == "applying":
                return PutResult(0, 0, found.lines_qty)
            _must_be(found, ("approved",), "applied")
            origin: Origin = "revert" if found.origin == "revert" else "plan"
            put = put_writes(
                connection,
                [
                    NewWrite(
                        target=found.system_code,
                        channel_code=found.channel_code,
                        origin=origin,
                        plan_id=found.plan_id,
                        entity=line.entity,
                        external_id=line.external_id,
                        location_code=line.location_code,
                        attribute=line.attribute,
                        before=line.before,
                        after=line.after,
                        product_id=line.product_id,
                        reason=line.reason,
                    )
                    for line in _lines(connection, found.plan_id)
                    if not line.skipped
                ],
                now=now,
                decided_at=found.created_at,
            )
            self._set(connection, found.plan_id, "applying", now)
        return put

    def begin_approved(self, channel_code: str, *, now: datetime) -> dict[str, PutResult]:
        """Begin every approved plan of a channel, oldest first: what was put in the outbox, by plan."""
        begun: dict[str, PutResult] = {}
        for found in reversed(self.find(channel_code=channel_code, statuses=("approved",))):
            try:
                begun[found.plan_id] = self.begin(found.plan_id, now=now)
            except PlanMoved:
                continue  # superseded or begun by another process since it was found
        return begun

    def finish(self, *, now: datetime, channel_code: str | None = None) -> list[Plan]:
        """Give every plan being applied its end, once no row of it waits any more; gives those that ended or changed.

        A plan with a dead letter ends as `applied_with_errors`, and as `applied` once that was replayed and written.
        """
        ended = []
        with moving(self._transactions) as connection:
            statement = sa.select(plan).where(plan.c.status.in_(("applying", "applied_with_errors")))
            if channel_code is not None:
                statement = statement.where(plan.c.channel_code == channel_code)
            for row in connection.execute(statement.order_by(plan.c.created_at)).mappings().all():
                found = _record(row)
                counts = _counts(connection, found.plan_id)
                if counts.get("pending") or counts.get("claimed"):
                    continue
                status: PlanStatus = "applied_with_errors" if counts.get("dead") or counts.get("dropped") else "applied"
                if status == found.status:
                    continue
                self._set(connection, found.plan_id, status, now)
                if status == "applied" and found.reverts_plan_id and counts.get("done"):
                    self._set(connection, found.reverts_plan_id, "reverted", now)
                ended.append(replace(found, status=status, counts=counts))
        return ended

    def get(self, plan_id: str) -> Plan:
        """One plan by its id, or by the beginning of it. Raises PermanentError when there is none, or more than one."""
        with self._transactions.reading() as connection:
            return self._get(connection, plan_id)

    def lines(self, plan_id: str) -> list[PlanLine]:
        """The lines of a plan, in the order they were planned."""
        with self._transactions.reading() as connection:
            return _lines(connection, plan_id)

    def find(
        self,
        *,
        channel_code: str | None = None,
        subject: str | None = None,
        statuses: Sequence[PlanStatus] | None = None,
        run_id: str | None = None,
        limit: int | None = None,
    ) -> list[Plan]:
        """Plans, newest first, with the counts of their outbox."""
        statement = sa.select(plan)
        if channel_code is not None:
            statement = statement.where(plan.c.channel_code == channel_code)
        if subject is not None:
            statement = statement.where(plan.c.subject == subject)
        if statuses is not None:
            statement = statement.where(plan.c.status.in_(statuses))
        if run_id is not None:
            statement = statement.where(plan.c.run_id == run_id)
        statement = statement.order_by(plan.c.created_at.desc(), plan.c.plan_id).limit(limit)
        with self._transactions.reading() as connection:
            found = [_record(row) for row in connection.execute(statement).mappings()]
            return [replace(each, counts=_counts(connection, each.plan_id)) for each in found]

    def _nothing_left(self, channel_code: str, subject: str, origin: PlanOrigin, now: datetime) -> Proposal:
        """Nothing differs any more: what waited for a decision about it has no object left."""
        if origin == "revert":
            return Proposal("empty")
        with moving(self._transactions) as connection:
            held = tuple(
                connection.scalars(
                    sa.select(plan.c.plan_id).where(
                        plan.c.channel_code == channel_code,
                        plan.c.subject == subject,
                        plan.c.origin == origin,
                        plan.c.status.in_(("held", "approved")),
                    )
                )
            )
            self._supersede(connection, held, now)
            connection.execute(
                sa.update(plan)
                .where(
                    plan.c.channel_code == channel_code,
                    plan.c.subject == subject,
                    plan.c.status == "rejected",
                    plan.c.lapsed_at.is_(None),
                )
                .values(lapsed_at=now)
            )
        return Proposal("empty", superseded=held)

    def _decide(self, plan_id: str, status: PlanStatus, *, by: str, now: datetime, note: str) -> Plan:
        with moving(self._transactions) as connection:
            found = self._get(connection, plan_id)
            _must_be(found, ("held",), status)
            connection.execute(
                sa.update(plan)
                .where(plan.c.plan_id == found.plan_id)
                .values(status=status, decided_by=by, decided_at=now, note=note, changed_at=now)
            )
            return replace(found, status=status, decided_by=by, decided_at=now, note=note, changed_at=now)

    @staticmethod
    def _get(connection: Connection, plan_id: str) -> Plan:
        exact = connection.execute(sa.select(plan).where(plan.c.plan_id == plan_id)).mappings().all()
        rows = (
            exact
            or connection.execute(sa.select(plan).where(plan.c.plan_id.startswith(plan_id, autoescape=True)).limit(2))
            .mappings()
            .all()
        )
        if len(rows) != 1 or not plan_id:
            raise PermanentError(
                f"more than one plan begins with {plan_id!r}" if rows else f"there is no plan {plan_id!r}",
                where=Where(field="plan"),
                action="`etalon plans list --status all` lists them",
            )
        found = _record(rows[0])
        return replace(found, counts=_counts(connection, found.plan_id))

    @staticmethod
    def _set(connection: Connection, plan_id: str, status: PlanStatus, now: datetime) -> None:
        connection.execute(sa.update(plan).where(plan.c.plan_id == plan_id).values(status=status, changed_at=now))

    @staticmethod
    def _supersede(connection: Connection, plan_ids: Sequence[str], now: datetime) -> None:
        if plan_ids:
            connection.execute(
                sa.update(plan).where(plan.c.plan_id.in_(plan_ids)).values(status="superseded", changed_at=now)
            )


def _must_be(found: Plan, statuses: Sequence[PlanStatus], wanted: str) -> None:
    if found.status not in statuses:
        raise PlanMoved(
            f"plan {found.plan_id} is {found.status.replace('_', ' ')}, so it cannot be {wanted}",
            where=Where(system_code=found.system_code, field="plan"),
            action="`etalon plans list` shows the plans that wait for a decision",
        )


def _plan_id(channel_code: str, subject: str, digest: str, known_qty: int, now: datetime) -> str:
    """Readable, sorted by time, and the same whenever the same store is asked for the same plan."""
    ending = hashlib.sha256(f"{channel_code}\x1f{subject}\x1f{digest}\x1f{known_qty}\x1f{now.isoformat()}".encode())
    return f"{channel_code}-{subject}-{now:%Y%m%d-%H%M%S}-{ending.hexdigest()[:6]}"


def _counts(connection: Connection, plan_id: str) -> dict[State, int]:
    statement = sa.select(outbox.c.state, sa.func.count()).where(outbox.c.plan_id == plan_id).group_by(outbox.c.state)
    return {row[0]: row[1] for row in connection.execute(statement)}


def _lines(connection: Connection, plan_id: str) -> list[PlanLine]:
    statement = sa.select(plan_line).where(plan_line.c.plan_id == plan_id).order_by(plan_line.c.number)
    return [
        PlanLine(
            **{name: row[name] for name in PlanLine.__dataclass_fields__}
            | {name: json_value(row[name]) for name in ("before", "after")}
        )
        for row in connection.execute(statement).mappings()
    ]


def _line_values(line: PlanLine, plan_id: str, number: int) -> dict[str, Any]:
    texts = {"before": json_text(line.before), "after": json_text(line.after)}
    return {**vars(line), **texts, "plan_id": plan_id, "number": number}


def _plan_values(made: Plan) -> dict[str, Any]:
    values = asdict(made)
    del values["counts"]
    return values | {"held_reasons": _reasons_text(made.held_reasons)}


def _reasons_text(reasons: Sequence[HeldReason]) -> str:
    return json.dumps([asdict(reason) for reason in reasons], ensure_ascii=False)


def _record(row: Mapping[Any, Any]) -> Plan:
    reasons = [HeldReason(**each | {"examples": tuple(each["examples"])}) for each in json.loads(row["held_reasons"])]
    return Plan(**dict(row) | {"held_reasons": tuple(reasons)})
