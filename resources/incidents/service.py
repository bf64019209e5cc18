"""Étalon itself: runs that fail, the fast lane's worker, alerts that do not get out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from resources.incidents.detecting import detector
from resources.incidents.facts import OWN, Facts
from resources.incidents.texts import shortened
from resources.operations.incidents import Impact, Signal
from resources.operations.records import ExchangeEntry

RUN = "run"
"""Kind of the journal's lines about runs; their stream is `job` or `job/step`, `job` being `channel_sync web-fr` for that of a channel."""

RUN_LOOK_BACK = timedelta(days=30)
ALERT_ATTEMPTS = 3


@detector("run_failed")
def run_failed(facts: Facts) -> Iterator[Signal]:
    """The last run of a job failed; the steps that broke are told."""
    lines = facts.operations.watching.journal(
        system_code=OWN, kinds=(RUN,), since_at=facts.now - RUN_LOOK_BACK, limit=2000
    )
    by_job: dict[str, list[ExchangeEntry]] = {}
    for line in lines:
        by_job.setdefault((line.stream or "").partition("/")[0], []).append(line)
    for job, told in by_job.items():
        failures: list[ExchangeEntry] = []
        for line in told:
            failures = [] if line.is_ok else [*failures, line]
        if not failures:
            continue
        last_run = [line for line in failures if line.request_id == failures[-1].request_id]
        steps = sorted({(line.stream or "").partition("/")[2] for line in last_run} - {""})
        yield Signal(
            kind="run_failed",
            severity="error",
            system_code=OWN,
            stream=job,
            request_id=failures[-1].request_id,
            what=f"the run of {job} failed"
            + (f" in {', '.join(steps)}" if steps else "")
            + f": {shortened(last_run[0].detail)}",
            action="mend what the error says and run it again (`etalon ui` shows the run); what was published before is still there",
            since_at=failures[0].at,
            occurrences_qty=len({line.request_id for line in failures}),
            evidence={"run": failures[-1].request_id, "steps": ", ".join(steps)},
            origins=tuple(f"step:{step}" for step in steps) or (f"job:{job}",),
        )


@detector("worker_silent")
def worker_silent(facts: Facts) -> Iterator[Signal]:
    """The fast lane's worker, which ran and was not asked to stop, gives no sign of life."""
    beats = facts.operations.lane.beats()
    if not beats:
        return
    last = max(beats, key=lambda beat: beat.beat_at)
    limit = timedelta(seconds=facts.rules.worker_silent_after_seconds)
    if last.ended_at is not None or facts.now - last.beat_at <= limit:
        return
    channels = tuple(channel.code for channel in facts.retailer.channels if channel.kind == "web")
    yield Signal(
        kind="worker_silent",
        severity="error",
        system_code=OWN,
        stream="fast_lane",
        what=f"the fast lane's worker gives no sign since {last.beat_at:%Y-%m-%d %H:%M:%S} UTC",
        action="see the log of `etalon worker` and start it again (`etalon up` does so by itself); until then stock is only written by "
        "the scheduled sync",
        since_at=last.beat_at,
        evidence={"worker": last.worker, "started": str(last.started_at)},
        touches=Impact(channels=channels, kpis=("k1b",), work_lists=("kpis.k1b_worklist",)),
    )


@detector("alert_failing")
def alert_failing(facts: Facts) -> Iterator[Signal]:
    """Messages about incidents do not get out."""
    stuck = [one for one in facts.operations.alerts.find(state="pending") if one.attempts >= ALERT_ATTEMPTS]
    for means in sorted({one.means for one in stuck}):
        waiting = [one for one in stuck if one.means == means]
        first = min(waiting, key=lambda one: one.created_at)
        yield Signal(
            kind="alert_failing",
            severity="error",
            system_code=OWN,
            stream=f"alert_{means}",
            what=f"{len(waiting)} messages could not be sent by {means}: {shortened(first.error or '')}",
            action="correct the ETALON_ALERT_… settings, or see why that server refuses us; they are tried again for two days",
            since_at=first.created_at,
            occurrences_qty=max(one.attempts for one in waiting),
            evidence={"messages": len(waiting)},
        )
