"""Sending what waits in the outbox: claim, compare, write, read back, receipt. The one way anything is written to a channel.

A crash at any point is harmless: what was sent without a settled row is claimed again once its lease runs out, and the connector,
which compares before it writes, finds it `unchanged`.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from resources.connectors.sdk.writing import Write, WriteResult, WritingConnector
from resources.errors import EtalonError, RetryableError
from resources.operations import ExchangeEntry, Operations
from resources.operations.outbox import Origin, OutboxRow
from resources.operations.plans import Plan
from resources.operations.receipts import json_text

BATCH = 100
"""Rows claimed at once: what is lost to a lease after a crash, and how long a newer value may have to wait."""

LEASE_S = 600.0
"""How long a worker may take for one batch: a shop that answers one item a second is slow, not dead."""

EXAMPLES = 3

_log = logging.getLogger(__name__)

Clock = Callable[[], datetime]
Told = Callable[[int], None]
"""Progress: rows answered so far."""


@dataclass(frozen=True)
class ApplySummary:
    """What one round of applying did. ``outcomes``: how many writes ended how (see `WriteResult`); ``error``: why it stopped early.

    ``results``: every answer, beside its row, in the order they were sent. ``ended``: plans that came to an end by it.
    """

    target: str
    outcomes: Counter[str] = field(default_factory=Counter)
    results: tuple[tuple[OutboxRow, WriteResult], ...] = ()
    ended: tuple[Plan, ...] = ()
    error: str | None = None

    @property
    def is_good(self) -> bool:
        """Everything that was sent is there, or moved and is to be planned again."""
        return self.error is None and not any(self.outcomes[bad] for bad in ("refused", "not_kept", "retry"))


def quiet(done: int) -> None:
    """Tell nobody."""


def apply_pending(
    connector: WritingConnector,
    operations: Operations,
    *,
    clock: Clock,
    worker: str,
    origins: Sequence[Origin] | None = None,
    limit: int | None = None,
    batch: int = BATCH,
    lease_s: float = LEASE_S,
    run_id: str = "",
    report: Told = quiet,
) -> ApplySummary:
    """Send what waits for the connector's system until nothing may be sent now, or ``limit`` rows were; settle each batch at once.

    ``worker`` names who holds the rows; ``origins``: only what comes from there. When the system does not answer at all, or
    refuses every call (a wrong key), the rows wait and the summary says why; nothing is raised for what is expected.
    """
    target = connector.system_code
    summary = ApplySummary(target)
    while limit is None or len(summary.results) < limit:
        size = batch if limit is None else min(batch, limit - len(summary.results))
        rows = operations.outbox.claim(target, worker=worker, now=clock(), limit=size, lease_s=lease_s, origins=origins)
        if not rows:
            break
        started = time.perf_counter()
        try:
            results = _send(connector, rows, clock())
        except EtalonError as error:
            wished = error.retry_after_s if isinstance(error, RetryableError) else None
            entry = _failed_entry(rows, error, clock(), run_id, time.perf_counter() - started)
            operations.outbox.put_back(rows, reason=str(error), now=clock(), wait_s=wished, journal=[entry])
            summary = replace(summary, error=str(error))
            break
        now = clock()
        entry = _entry(target, rows, results, now, run_id, time.perf_counter() - started)
        operations.outbox.settle(results, rows, now=now, worker=worker, run_id=run_id, journal=[entry])
        summary = replace(
            summary,
            outcomes=summary.outcomes + Counter(result.outcome for result in results),
            results=(*summary.results, *zip(rows, results, strict=True)),
        )
        report(len(summary.results))
    if origins is None or {"plan", "revert"} & set(origins):
        summary = replace(summary, ended=tuple(operations.plans.finish(now=clock())))
    return summary


def _send(connector: WritingConnector, rows: Sequence[OutboxRow], now: datetime) -> list[WriteResult]:
    """The connector's answers, held to what it promises: one for each write, in the order asked."""
    writes = [
        Write(row.key, row.entity, row.external_id, row.attribute, row.before, row.after, row.location_code)
        for row in rows
    ]
    try:
        results = connector.write(writes, now=now)
    except EtalonError:
        raise
    except Exception:  # noqa: BLE001 - logged, and what it was about ends as a dead letter
        # A mistake of ours that one value brings out: it must not keep all the others from the channel for ever.
        _log.exception(
            "the connector of %s failed on %d writes; each item is tried alone", connector.system_code, len(writes)
        )
        results = _one_by_one(connector, writes, now)
    if [result.key for result in results] != [write.key for write in writes]:
        raise ValueError(f"the connector of {connector.system_code} did not answer each write, in the order asked")
    return [_credited(row, result) for row, result in zip(rows, results, strict=True)]


def _one_by_one(connector: WritingConnector, writes: Sequence[Write], now: datetime) -> list[WriteResult]:
    """Item by item; the one that the connector fails on is tried again later, and becomes a dead letter that says so."""
    items: dict[str, list[Write]] = {}
    for write in writes:
        items.setdefault(write.external_id, []).append(write)
    found: dict[str, WriteResult] = {}
    for alone in items.values():
        try:
            answers = connector.write(alone, now=now)
        except EtalonError as error:
            wished = error.retry_after_s if isinstance(error, RetryableError) else None
            answers = [WriteResult(write.key, "retry", reason=str(error), retry_after_s=wished) for write in alone]
        except Exception as error:  # noqa: BLE001 - the same
            _log.exception("the connector of %s failed on %s", connector.system_code, alone[0].external_id)
            reason = f"Étalon's own connector failed on it ({type(error).__name__}); the log of the run says where"
            answers = [WriteResult(write.key, "retry", reason=reason) for write in alone]
        found |= {answer.key: answer for answer in answers}
    return [found[write.key] for write in writes if write.key in found]


def _credited(row: OutboxRow, result: WriteResult) -> WriteResult:
    """A value that is there already because an earlier attempt of ours wrote it, though nobody heard the answer, was applied.

    What stood there before that attempt is what the write was made on; a revert goes back to it.
    """
    if result.outcome != "unchanged" or not row.is_unsure or json_text(row.before) == json_text(row.after):
        return result
    return replace(
        result,
        outcome="applied",
        found=None,
        is_found=False,
        read_back=result.found if result.is_found else row.after,
        is_read_back=True,
        reason="an earlier attempt had written it; its answer never came",
    )


def _entry(
    target: str,
    rows: Sequence[OutboxRow],
    results: Sequence[WriteResult],
    now: datetime,
    run_id: str,
    duration_s: float,
) -> ExchangeEntry:
    outcomes = Counter(result.outcome for result in results)
    bad = [
        (row, result)
        for row, result in zip(rows, results, strict=True)
        if result.outcome in ("refused", "not_kept", "retry")
    ]
    told = ", ".join(f"{quantity} {outcome.replace('_', ' ')}" for outcome, quantity in sorted(outcomes.items()))
    examples = "; ".join(f"{row.external_id} {row.attribute}: {result.reason}" for row, result in bad[:EXAMPLES])
    if not bad:
        outcome = "applied" if outcomes["applied"] else "moved" if outcomes["moved"] else "unchanged"
    else:
        outcome = "partly" if len(bad) < len(results) else max(outcomes, key=lambda name: outcomes[name])
    return ExchangeEntry(
        at=now,
        run_id=run_id,
        system_code=target,
        stream=_entities(rows),
        kind="write",
        is_ok=not bad,
        detail=f"{told}: {examples}" if examples else told,
        direction="out",
        outcome=outcome,
        rows_qty=len(rows),
        duration_s=duration_s,
        request_id=next((result.request_id for _, result in bad if result.request_id), None),
    )


def _failed_entry(
    rows: Sequence[OutboxRow], error: EtalonError, now: datetime, run_id: str, duration_s: float
) -> ExchangeEntry:
    return ExchangeEntry(
        at=now,
        run_id=run_id,
        system_code=rows[0].target,
        stream=_entities(rows),
        kind="write",
        is_ok=False,
        detail=str(error),
        direction="out",
        outcome="retry" if isinstance(error, RetryableError) else "failed",
        rows_qty=len(rows),
        duration_s=duration_s,
        request_id=error.where.request_id,
    )


def _entities(rows: Sequence[OutboxRow]) -> str:
    return ", ".join(sorted({row.entity for row in rows}))
