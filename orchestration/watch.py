"""Watching: what notices by itself that something is wrong. A sensor, a background thread for long-lived workers, the end of a run.

Belongs here: when to look, and what Dagster knows that the operations store does not: how runs ended.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

import hashlib
import logging
import threading
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import sqlalchemy as sa

from assets.names import operations_key
from assets.operations import Look, incident_metadata, look_around
from assets.runtime import Runtime
from orchestration.instance import SYNC_TAG
from orchestration.jobs import HOURLY_INCREMENTAL, NIGHTLY_FULL
from resources.errors import EtalonError
from resources.incidents.facts import OWN
from resources.incidents.service import RUN
from resources.operations import ExchangeEntry, Operations
from resources.operations.incidents import ImpactOf

INCIDENTS = "incidents"
EVERY_S = 30
WORKER_EVERY_S = 10.0
ENDED = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.SUCCESS]
RUNS_A_LOOK = 100
FIRST_LOOK_BACK = timedelta(hours=1)

_AD_HOC = "__ASSET_JOB"
_ALSO_MENDED = {
    NIGHTLY_FULL: (NIGHTLY_FULL, HOURLY_INCREMENTAL, _AD_HOC),
    HOURLY_INCREMENTAL: (HOURLY_INCREMENTAL, _AD_HOC),
}
"""A whole run of the first does all that the others do."""

_log = logging.getLogger(__name__)


def incidents_sensor(runtime: Runtime, impact: ImpactOf, *, is_running: bool = False) -> dg.SensorDefinition:
    """Journals how runs ended, makes the incidents say what is wrong now, and tells people. Starts no run."""

    @dg.sensor(
        name=INCIDENTS,
        minimum_interval_seconds=EVERY_S,
        default_status=dg.DefaultSensorStatus.RUNNING if is_running else dg.DefaultSensorStatus.STOPPED,
        description="Looks at how things stand every 30 seconds: incidents open and close by themselves, and alerts go out.",
    )
    def incidents(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        text, _, shown_before = (context.cursor or "").partition(" ")
        since_at = datetime.fromisoformat(text) if text else datetime.now(UTC) - FIRST_LOOK_BACK
        upto_at = journal_ended_runs(runtime.operations, context.instance, since_at=since_at)
        look = look_around(runtime, impact)
        changed = (*look.refreshed.opened, *look.refreshed.reopened, *look.refreshed.closed)
        told = f"{look.refreshed.open_qty} open" + (f", changed: {', '.join(map(str, changed))}" if changed else "")
        shown = _state(runtime.operations)
        events = []
        if shown != shown_before:
            # Whoever noticed it (mostly the worker), the asset's page shows what is wrong now, and not what was at the last run.
            metadata = incident_metadata(runtime, look)
            events.append(dg.AssetMaterialization(operations_key(INCIDENTS), metadata=metadata))
        return dg.SensorResult(
            skip_reason=dg.SkipReason(told), cursor=f"{upto_at.isoformat()} {shown}", asset_events=events
        )

    return incidents


def _state(operations: Operations) -> str:
    """What is open, as a short text that differs when anything of it does."""
    found = sorted((one.incident_id, one.severity) for one in operations.incidents.find(status="open"))
    return hashlib.sha256(repr(found).encode()).hexdigest()[:16]


def journal_ended_runs(operations: Operations, instance: dg.DagsterInstance, *, since_at: datetime) -> datetime:
    """Journal the runs that ended since an instant; gives the instant to go on from."""
    records = instance.get_run_records(
        filters=dg.RunsFilter(statuses=ENDED, updated_after=since_at),
        limit=RUNS_A_LOOK,
        order_by="update_timestamp",
        ascending=True,
    )
    for record in records:
        journal_run(operations, instance, record.dagster_run, at=_aware(record.update_timestamp))
    return max((_aware(record.update_timestamp) for record in records), default=since_at)


def journal_run(operations: Operations, instance: dg.DagsterInstance, run: dg.DagsterRun, *, at: datetime) -> None:
    """One line per failed step of a run; of a good one, a line for each failing job that it mends. Once per run, however often called."""
    known = operations.watching.journal(system_code=OWN, kinds=(RUN,), limit=2000)
    if any(line.request_id == run.run_id for line in known):
        return
    if run.status is dg.DagsterRunStatus.FAILURE:
        failed = _failures(instance, run)
        told = label(run)
        operations.add_exchange(
            *(_line(run, at, f"{told}/{step}" if step else told, text, is_ok=False) for step, text in failed)
        )
    elif run.status is dg.DagsterRunStatus.SUCCESS:
        mended = [one for one, steps in _failing(known).items() if _is_mended(instance, run, one, steps)]
        operations.add_exchange(*(_line(run, at, one, "the run ended well", is_ok=True) for one in mended))


def label(run: dg.DagsterRun) -> str:
    """What runs of a kind are told apart by: the job, and the channel or system that it was for."""
    of = run.tags.get(SYNC_TAG)
    return f"{run.job_name} {of}" if of else run.job_name


def _failing(lines: Sequence[ExchangeEntry]) -> dict[str, set[str]]:
    """Label -> steps that failed since its last good run; `""` stands for the run itself. Labels without a failure are left out."""
    found: dict[str, set[str]] = {}
    for line in lines:
        told, _, step = (line.stream or "").partition("/")
        if line.is_ok:
            found.pop(told, None)
        else:
            found.setdefault(told, set()).add(step)
    return found


def _is_mended(instance: dg.DagsterInstance, run: dg.DagsterRun, failing: str, steps: set[str]) -> bool:
    """Whether a good run does what the failed runs did not: the same again, or a whole run that holds them."""
    if run.asset_selection is None:
        job = failing.partition(" ")[0]
        return failing == label(run) or (
            SYNC_TAG not in run.tags and job in _ALSO_MENDED.get(run.job_name, (run.job_name,))
        )
    if failing != label(run):
        return False
    # A run of some assets mends a failed run of these, not one of others.
    done = {one.step_key for one in instance.get_run_step_stats(run.run_id)}
    return steps - {""} <= done


def watch_in_background(
    runtime: Runtime, impact: Callable[[], ImpactOf], stop: threading.Event, *, every_s: float = WORKER_EVERY_S
) -> threading.Thread:
    """Look around every few seconds until ``stop``, in a thread of its own: a worker never waits for it, nor for a mail server.

    ``impact`` is called once, in that thread. Returns the started thread.
    """

    def loop() -> None:
        touched = impact()
        while not stop.wait(every_s):
            try:
                look_around(runtime, touched, at_most_every=timedelta(seconds=every_s / 2))
            except EtalonError as error:
                _log.error("the look for incidents failed: %s", error)
            except sa.exc.OperationalError as error:
                # The database is away or busy: the worker goes on, and the next turn looks again.
                _log.error(
                    "the look for incidents failed, the operations store does not answer: %s", type(error).__name__
                )
            except Exception:  # noqa: BLE001 it is told with its traceback
                # A mistake of ours must not end the watch: what breaks next would be told to nobody.
                _log.exception("the look for incidents failed; the next turn looks again")

    thread = threading.Thread(target=loop, name="incidents", daemon=True)
    thread.start()
    return thread


def look_after_run(runtime: Runtime, impact: ImpactOf, instance: dg.DagsterInstance, run_id: str) -> Look:
    """At the end of a run on the command line: no sensor may be there to see it."""
    run = instance.get_run_by_id(run_id)
    if run is not None:
        journal_run(runtime.operations, instance, run, at=runtime.settings.clock()())
    return look_around(runtime, impact)


def _failures(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[tuple[str, str]]:
    """(step, what it said) of each step that failed; without one, what is said of the run."""
    steps = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE).records
    found = []
    for record in steps:
        event = record.event_log_entry.dagster_event
        if event is None or event.step_key is None:
            continue
        error = event.step_failure_data.error
        cause = error.cause if error is not None and error.cause is not None else error
        found.append((event.step_key, _told(cause.message, cause.cls_name) if cause else "failed without a message"))
    if found:
        return found
    ends = instance.get_records_for_run(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE).records
    messages = [record.event_log_entry.dagster_event for record in ends]
    return [("", next((event.message for event in messages if event and event.message), "the run failed"))]


def _told(message: str, class_name: str | None) -> str:
    """Our own errors hold no secret and no personal value; of any other its class alone, the run's page shows the rest."""
    if class_name in _own_errors():
        return message.partition(": ")[2].strip() or message.strip()
    return f"{class_name or 'an error'}; the run's page in the UI shows it"


def _own_errors() -> frozenset[str]:
    found, waiting = set(), [EtalonError]
    while waiting:
        one = waiting.pop()
        found.add(one.__name__)
        waiting += one.__subclasses__()
    return frozenset(found)


def _line(run: dg.DagsterRun, at: datetime, stream: str, detail: str, *, is_ok: bool) -> ExchangeEntry:
    return ExchangeEntry(
        at=at,
        run_id=run.run_id,
        system_code=OWN,
        stream=stream,
        kind=RUN,
        is_ok=is_ok,
        detail=detail,
        outcome="complete" if is_ok else "failed",
        request_id=run.run_id,
    )


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)
