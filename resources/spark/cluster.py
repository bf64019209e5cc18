"""The connection to a Spark Connect endpoint, and what every session there is set to.

Belongs here: what is Spark's own. The client is an extra of this project (`etalon[spark]`) and loaded when first needed.
"""

from __future__ import annotations

import re
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from resources.errors import ConfigurationError, PermanentError, RetryableError, Where
from resources.spark.types import spark_type

if TYPE_CHECKING:
    from pyspark.sql.connect.session import SparkSession

DEFAULT_PORT = 15002
CONNECT_TIMEOUT_S = 10.0
RETRIES, RETRY_WAIT_MS = 6, 4000
"""An endpoint that went away is asked again for about ten seconds."""

SESSION: Mapping[str, str] = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",  # a sum that overflows or a text that is no number fails instead of becoming null
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",  # instants as every reader of Parquet knows them
    "spark.sql.sources.partitionColumnTypeInference.enabled": "false",
}
"""Settings that decide over values; a cluster that refuses one of them is refused."""

_OPENING = (
    "the Spark Connect endpoint gave no session",
    "look in its log, and whether it speaks Spark Connect 4, wants TLS (use_ssl=true) or another token",
)
_PARAMETER = re.compile("[^=;/]+=[^=;/]*")


class ClusterError(PermanentError):
    """The cluster said no; holds its first words, which name the query's mistake."""


class ClusterGone(RetryableError):
    """The cluster no longer answers; what it had built and listed is whole."""


class Cluster:
    """One open session."""

    def __init__(self, session: SparkSession) -> None:
        self._session = session

    def show(self, view: str, paths: Sequence[str], columns: Mapping[str, str]) -> None:
        """Make Parquet files readable as ``view``; ``columns``: name -> DuckDB type."""
        with _told():
            frame = self._session.read.schema(_schema(view, columns)).parquet(*paths)
            frame.select(*(frame[name] for name in columns)).createOrReplaceTempView(view)

    def write(self, query: str, path: str, columns: Mapping[str, str], *, name: str) -> int:
        """Run a query (Spark's dialect) and write its rows to ``path``, each column in its type; gives how many the cluster finds there.

        An engine may write no file at all where there is no row. Raises ClusterError.
        """
        with _told():
            frame = self._session.sql(query)
            cells = (
                frame[column].cast(spark_type(name, column, kind)).alias(column) for column, kind in columns.items()
            )
            frame.select(*cells).write.mode("error").option("compression", "zstd").parquet(path)
            return int(self._session.read.schema(_schema(name, columns)).parquet(path).count())

    def rows(self, query: str) -> list[dict[str, Any]]:
        """The rows of a small query (Spark's dialect). Raises ClusterError."""
        with _told():
            return list(self._session.sql(query).toArrow().to_pylist())


def _schema(table: str, columns: Mapping[str, str]) -> str:
    return ", ".join(f"`{name}` {spark_type(table, name, kind)}" for name, kind in columns.items())


@contextmanager
def connected(remote: str) -> Iterator[Cluster]:
    """A session of its own on ``remote`` (`sc://host:15002/;token=...`), ended with the context.

    Raises ConfigurationError without the client or with an address that is none, RetryableError when nobody answers.
    """
    try:
        with _a_program_with_a_file():
            from pyspark.sql.connect.client.retries import DefaultPolicy
            from pyspark.sql.connect.session import SparkSession
    except ImportError as error:
        raise ConfigurationError(
            f"the Spark client is not installed: {error}",
            where=Where(field="ETALON_ENGINE"),
            action="install the project with its extra spark, as make setup does",
        ) from error
    _must_answer(*_host_and_port(remote))
    with _told(*_OPENING):
        session = SparkSession.builder.remote(remote).create()
        # The client's own patience is ten minutes, in which nobody else may write.
        session.client.set_retry_policies([DefaultPolicy(max_retries=RETRIES, max_backoff=RETRY_WAIT_MS)])
    try:
        with _told(*_OPENING):
            for name, value in SESSION.items():
                session.conf.set(name, value)
        yield Cluster(session)
    finally:
        # Ending a session is a courtesy: an endpoint that is gone is not waited for once more.
        session.client.set_retry_policies([DefaultPolicy(max_retries=1)])
        session.stop()


@contextmanager
def _a_program_with_a_file() -> Iterator[None]:
    """While its client is imported: it takes a program without a file (`python -c`, a test's worker) for its own doctests, and ends it."""
    main = sys.modules["__main__"]
    if hasattr(main, "__file__") or main.__spec__ is not None:
        yield
        return
    main.__file__ = __file__
    try:
        yield
    finally:
        del main.__file__


def _host_and_port(remote: str) -> tuple[str, int]:
    """Where an address points to. Its mistakes are told here: the client repeats what it cannot read, tokens too."""
    parts = urlsplit(remote)
    try:
        host, port = parts.hostname, parts.port or DEFAULT_PORT
    except ValueError:
        host, port = None, 0
    path, *given = parts.path.split(";")
    is_plain = path in ("", "/") and not parts.query and not parts.fragment and all(map(_PARAMETER.fullmatch, given))
    if parts.scheme != "sc" or not host or not is_plain:
        raise ConfigurationError(
            "this is no address of a Spark Connect endpoint",
            where=Where(field="ETALON_SPARK_REMOTE"),
            action="write it like sc://spark.example.org:15002, with /;token=... behind it when it wants one "
            "(in a token, = is %3D and / is %2F)",
        )
    return host, port


def _must_answer(host: str, port: int) -> None:
    """The client itself would go on trying for minutes."""
    try:
        socket.create_connection((host, port), timeout=CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise RetryableError(
            f"the Spark Connect endpoint {host}:{port} does not answer: {error}",
            where=Where(field="ETALON_SPARK_REMOTE"),
            action="start it, or mend its address; nothing was changed",
        ) from error


@contextmanager
def _told(what: str = "", action: str = "mend the query, or look at the cluster's log") -> Iterator[None]:
    """What the client raises, as ours: the first line says what is wrong, the rest is a stack of the JVM's."""
    from pyspark.errors import PySparkException

    try:
        yield
    except PySparkException as error:
        if "StatusCode.UNAVAILABLE" in str(error):
            raise ClusterGone(
                what or "the Spark Connect endpoint no longer answers",
                where=Where(field="ETALON_SPARK_REMOTE"),
                action=action if what else "look why it ended, start it and run again: what is listed is whole",
            ) from error
        told = str(error).strip().split("\n\nJVM stacktrace", 1)[0]
        raise ClusterError(": ".join(filter(None, (what, " ".join(told.split())[:1000]))), action=action) from error
