"""Reads a proxy's access log for logins that were refused, from where the last reading ended.

Belongs here: the log's format (deploy/nginx) and the place in it. What follows from many refused logins is decided elsewhere.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from resources.operations import ExchangeEntry

PROXY = "proxy"
"""What stands for the system in the journal."""
LOGIN = "login"
UNAUTHORIZED, TOO_MANY = 401, 429
_BATCH = 500


@dataclass(frozen=True)
class Place:
    """Where a reading ended: the file (device, inode; a rotated log is another file) and the byte after its last whole line."""

    device: int = 0
    inode: int = 0
    offset: int = 0


@dataclass(frozen=True)
class LogLine:
    """One request as the proxy logged it. ``user``: the name that came with it, if any."""

    at: datetime
    address: str
    user: str
    status: int
    path: str
    request_id: str


def read_since(path: Path, place: Place) -> Iterator[tuple[list[LogLine], Place]]:
    """Whole lines after ``place``, in batches with the place after each. A line that is not ours is passed over."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        stat = os.fstat(file.fileno())
        is_same = (stat.st_dev, stat.st_ino) == (place.device, place.inode) and stat.st_size >= place.offset
        offset = place.offset if is_same else 0
        file.seek(offset)
        batch: list[LogLine] = []
        for line in file:
            if not line.endswith(b"\n"):
                break  # being written: read whole the next time
            offset += len(line)
            parsed = parse(line)
            if parsed is not None:
                batch.append(parsed)
            if len(batch) >= _BATCH:
                yield batch, Place(stat.st_dev, stat.st_ino, offset)
                batch = []
        if batch or offset != place.offset or not is_same:
            yield batch, Place(stat.st_dev, stat.st_ino, offset)


def parse(line: bytes) -> LogLine | None:
    """One line of the format `etalon`; None for any other."""
    try:
        told = json.loads(line)
        if not isinstance(told, Mapping):
            return None
        return LogLine(
            at=datetime.fromisoformat(told["at"]).astimezone(UTC),
            address=str(told["address"]),
            user=str(told["user"]),
            status=int(told["status"]),
            path=str(told["path"]),
            request_id=str(told["request_id"]),
        )
    except (ValueError, KeyError, TypeError):
        return None


def refused_logins(lines: list[LogLine]) -> list[ExchangeEntry]:
    """Journal entries of the logins that were refused, or no longer listened to.

    The first request of every browser comes without a login and is answered 401: that is no refused login. The name that was tried
    is not kept, for people type passwords there.
    """
    entries = []
    for line in lines:
        is_refused = line.status == UNAUTHORIZED and line.user != ""
        is_limited = line.status == TOO_MANY and not line.path.startswith("/webhooks/")
        if is_refused or is_limited:
            entries.append(
                ExchangeEntry(
                    at=line.at,
                    run_id="",
                    system_code=PROXY,
                    stream=None,
                    kind=LOGIN,
                    is_ok=False,
                    detail=f"login refused, from {line.address}, for {_area(line.path)}"
                    if is_refused
                    else f"too many tries to log in, from {line.address}, for {_area(line.path)}",
                    direction="in",
                    outcome="refused" if is_refused else "limited",
                    request_id=line.request_id,
                )
            )
    return entries


def _area(path: str) -> str:
    return next((area for area in ("viewers", "report") if path.startswith(f"/{area}/")), "operators")
