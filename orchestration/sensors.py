"""What starts a run when something happens: a file that arrives."""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from orchestration.jobs import HOURLY_INCREMENTAL

FILE_ARRIVAL = "file_arrival"
MARKER = ".done"
REQUESTED_AT = "/requested_at"
"""Where the cursor keeps when the last run was asked for (seconds since 1970); no system's code begins with a slash."""
GAP_S = 300
WAITING = dg.RunsFilter(
    job_name=HOURLY_INCREMENTAL, statuses=[dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED]
)
FIRST_LOOK_S = 60
"""How long the run of an arrival may take to look at the folder: a file without a marker is whole when a second look, so many
seconds after the first, finds it unchanged."""

State = dict[str, object]


@dataclass(frozen=True)
class WatchedFolder:
    """The folder of one file system.

    ``patterns``: names of the files of feeds without a marker, which are whole when their size stays the same for ``stable_s``
    seconds. All other feeds announce a whole file by its `.done` marker.
    """

    folder: Path
    patterns: tuple[str, ...] = ()
    stable_s: int = 0


def folder_state(folder: Path) -> State:
    """What the `.done` markers under ``folder`` look like now: how many, the latest modification (ns), and a digest of names and times.

    A digest, not the list: a cursor is stored with every tick, and a folder may keep a year of files.
    """
    markers = sorted((path.name, path.stat().st_mtime_ns) for path in folder.rglob(f"*{MARKER}") if path.is_file())
    return _state([(name, mtime, mtime) for name, mtime in markers])


def sizes_state(watched: WatchedFolder) -> State:
    """The same of the files without markers: the digest is of their names and sizes, as they are told whole by."""
    found = {path for pattern in watched.patterns for path in watched.folder.glob(pattern) if path.is_file()}
    stats = {path.name: path.stat() for path in found}
    return _state([(name, stat.st_size, stat.st_mtime_ns) for name, stat in sorted(stats.items())])


def has_arrivals(before: Mapping[str, object] | None, now: Mapping[str, object]) -> bool:
    """Whether a file was added or renewed; files taken away by housekeeping are no news."""
    if before is None:
        return bool(now["count"])
    if now["digest"] == before["digest"]:
        return False
    return int(str(now["count"])) >= int(str(before["count"])) or int(str(now["latest"])) > int(str(before["latest"]))


def looked_at(before: Mapping[str, object] | None, now: State, *, stable_s: int, now_s: int) -> tuple[bool, State]:
    """Whether files without markers need a look now, and their state to remember.

    Two looks per arrival, as `pickup` wants them: one when something changed, and one when nothing has changed since for
    ``stable_s`` seconds. ``second_look_at`` (seconds since 1970) is when the second one is due; None when it was had.
    """
    if has_arrivals(before, now):
        return True, {**now, "second_look_at": now_s + stable_s + FIRST_LOOK_S}
    due = None if before is None else before.get("second_look_at")
    if due is not None and now_s >= int(str(due)):
        return True, {**now, "second_look_at": None}
    return False, {**now, "second_look_at": due}


def file_arrival_sensor(
    folders: Mapping[str, WatchedFolder],
    *,
    clock_s: Callable[[], float] = time.time,
    is_running: bool = False,
    gap_s: int = 0,
) -> dg.SensorDefinition:
    """One run for all that arrived since the last tick, in the folder of each file system (system code -> folder).

    The run reads every system: an arriving stock file is compared with what the shops show now, not an hour ago.
    ``clock_s``: seconds since 1970. ``gap_s``: between two runs at least; what arrives meanwhile waits for the next one, and one at
    most waits in the queue, so that tills which ring all day do not keep the warehouse busy all day.
    """

    @dg.sensor(
        name=FILE_ARRIVAL,
        job_name=HOURLY_INCREMENTAL,
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING if is_running else dg.DefaultSensorStatus.STOPPED,
        description="A `.done` marker, or a file of a feed without markers, arrived in the folder of a file system.",
    )
    def file_arrival(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        before = json.loads(context.cursor) if context.cursor else {}
        missing = [code for code, watched in folders.items() if not watched.folder.is_dir()]
        now: dict[str, State] = {}
        arrived: dict[str, None] = {}
        for code, watched in folders.items():
            if code in missing:
                continue
            now[code] = folder_state(watched.folder)
            if has_arrivals(before.get(code), now[code]):
                arrived[code] = None
            if watched.patterns:
                key = f"{code}/sizes"
                is_due, now[key] = looked_at(
                    before.get(key), sizes_state(watched), stable_s=watched.stable_s, now_s=int(clock_s())
                )
                if is_due:
                    arrived[code] = None
        # A folder that cannot be seen (an unmounted share) keeps what was known of it.
        cursor = json.dumps({**before, **now}, sort_keys=True)
        if not arrived:
            absent = f"; no folder for {', '.join(missing)}" if missing else ""
            seen_qty = len(folders) - len(missing)
            return dg.SensorResult(
                skip_reason=dg.SkipReason(f"no new file in {seen_qty} folders{absent}"), cursor=cursor
            )
        requested_at = int(str(before.get(REQUESTED_AT, 0)))
        if int(clock_s()) - requested_at < gap_s:
            # The cursor stays, so that the same arrivals are seen again.
            return dg.SkipReason(f"arrivals in {', '.join(arrived)} wait: a run was started less than {gap_s} s ago")
        if gap_s and context.instance.get_runs_count(WAITING):
            return dg.SkipReason(f"arrivals in {', '.join(arrived)} wait: the run that will read them waits too")
        cursor = json.dumps({**before, **now, REQUESTED_AT: int(clock_s())}, sort_keys=True)
        key = hashlib.sha256(cursor.encode()).hexdigest()[:32]
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=key, tags={"etalon/arrived": ",".join(arrived)})], cursor=cursor
        )

    return file_arrival


def _state(files: list[tuple[str, int, int]]) -> State:
    """Of (name, what tells it changed, modification in ns), by name."""
    digest = hashlib.sha256(json.dumps([(name, mark) for name, mark, _ in files]).encode()).hexdigest()[:16]
    return {"count": len(files), "latest": max((mtime for *_, mtime in files), default=0), "digest": digest}
