"""Whether a program works: one question for each kind of it, answered within a few seconds.

Belongs here: asking. A question that gets no answer is a no, whatever the reason: the supervisor acts on it, the log has the rest.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import dagster as dg
import grpc
import sqlalchemy as sa
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from resources.operations import Operations

TIMEOUT_S = 4.0
HEARTBEAT_OLD_S = 300.0
"""A daemon writes a heartbeat every 30 seconds, between two rounds of work: a slow sensor on a busy machine delays it by minutes."""


def answers_http(url: str, *, expected: tuple[int, ...] = (200,)) -> Callable[[], bool]:
    """Whether a GET of this address is answered with one of these."""

    def probe() -> bool:
        try:
            with urlopen(url, timeout=TIMEOUT_S) as response:  # noqa: S310 an address of ours on loopback
                return response.status in expected
        except HTTPError as error:
            return error.code in expected
        except (URLError, OSError, http.client.HTTPException):
            return False

    return probe


def serves_code(socket: Path) -> Callable[[], bool]:
    """Whether a Dagster code server on this Unix socket has loaded its definitions."""

    def probe() -> bool:
        if not socket.exists():
            return False
        with grpc.insecure_channel(f"unix:{socket}") as channel:
            try:
                told = HealthStub(channel).Check(health_pb2.HealthCheckRequest(service="DagsterApi"), timeout=TIMEOUT_S)
            except grpc.RpcError:
                return False
        return bool(told.status == health_pb2.HealthCheckResponse.SERVING)

    return probe


def daemon_beats(instance: dg.DagsterInstance, *, clock: Callable[[], float] = time.time) -> Callable[[], bool]:
    """Whether each part of the daemon has written a heartbeat lately, and since this probe was made."""
    since_s = clock()

    def probe() -> bool:
        try:
            beats = instance.get_daemon_heartbeats()
        except (sa.exc.DBAPIError, dg.DagsterError):
            return False
        oldest_s = max(since_s, clock() - HEARTBEAT_OLD_S)
        return all(kind in beats and beats[kind].timestamp >= oldest_s for kind in instance.get_required_daemon_types())

    return probe


def worker_beats(operations: Operations, *, clock: Callable[[], float] = time.time) -> Callable[[], bool]:
    """Whether the fast lane's worker has given a sign of life lately, and since this probe was made."""
    since_s = clock()

    def probe() -> bool:
        try:
            beats = operations.lane.beats()
        except sa.exc.DBAPIError:
            return False
        oldest_s = max(since_s, clock() - HEARTBEAT_OLD_S)
        return any(beat.beat_at.timestamp() >= oldest_s and beat.ended_at is None for beat in beats)

    return probe


def is_fresh(path: Path, *, within_s: float, clock: Callable[[], float] = time.time) -> Callable[[], bool]:
    """Whether a file that a living program touches was touched lately, and since this probe was made."""
    since_s = clock()

    def probe() -> bool:
        try:
            touched_s = path.stat().st_mtime
        except FileNotFoundError:
            return False
        return touched_s >= max(since_s - 1, clock() - within_s)

    return probe
