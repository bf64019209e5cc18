"""What starts a run when something happens: a file that arrives."""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

import dagster as dg

from orchestration.jobs import HOURLY_INCREMENTAL

FILE_ARRIVAL = "file_arrival"
MARKER = ".done"


def folder_state(folder: Path) -> dict[str, object]:
    """What the `.done` markers under ``folder`` look like now: how many, the latest modification (ns), and a digest of names and times.

    A digest, not the list: a cursor is stored with every tick, and a folder may keep a year of files.
    """
    markers = sorted((path.name, path.stat().st_mtime_ns) for path in folder.rglob(f"*{MARKER}") if path.is_file())
    digest = hashlib.sha256(json.dumps(markers).encode()).hexdigest()[:16]
    return {"count": len(markers), "latest": max((mtime for _, mtime in markers), default=0), "digest": digest}


def has_arrivals(before: Mapping[str, object] | None, now: Mapping[str, object]) -> bool:
    """Whether a marker was added or renewed; files taken away by housekeeping are no news."""
    if before is None:
        return bool(now["count"])
    if now["digest"] == before["digest"]:
        return False
    return int(str(now["count"])) >= int(str(before["count"])) or int(str(now["latest"])) > int(str(before["latest"]))


def file_arrival_sensor(folders: Mapping[str, Path]) -> dg.SensorDefinition:
    """One run for all that arrived since the last tick, in the folder of each file system (system code -> folder).

    The run reads every system: an arriving stock file is compared with what the shops show now, not an hour ago.
    """

    @dg.sensor(
        name=FILE_ARRIVAL,
        job_name=HOURLY_INCREMENTAL,
        minimum_interval_seconds=30,
        description="A `.done` marker arrived in the folder of a file system.",
    )
    def file_arrival(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        before = json.loads(context.cursor) if context.cursor else {}
        missing = [code for code, folder in folders.items() if not folder.is_dir()]
        now = {code: folder_state(folder) for code, folder in folders.items() if code not in missing}
        arrived = [code for code, state in now.items() if has_arrivals(before.get(code), state)]
        # A folder that cannot be seen (an unmounted share) keeps what was known of it.
        cursor = json.dumps({**before, **now}, sort_keys=True)
        if not arrived:
            absent = f"; no folder for {', '.join(missing)}" if missing else ""
            return dg.SensorResult(
                skip_reason=dg.SkipReason(f"no new marker in {len(now)} folders{absent}"), cursor=cursor
            )
        key = hashlib.sha256(cursor.encode()).hexdigest()[:32]
        return dg.SensorResult(
            run_requests=[dg.RunRequest(run_key=key, tags={"etalon/arrived": ",".join(arrived)})], cursor=cursor
        )

    return file_arrival
