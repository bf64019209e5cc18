"""What is said when there is no endpoint, none that speaks Spark, or an address that cannot be read."""

from __future__ import annotations

import socket
import sys
import threading
from contextlib import suppress

import pytest

from resources.errors import ConfigurationError, RetryableError
from resources.spark.cluster import ClusterGone, connected


def test_a_cluster_that_does_not_answer_may_be_asked_later() -> None:
    with pytest.raises(RetryableError, match=r"127\.0\.0\.1:1 does not answer"), connected("sc://127.0.0.1:1"):
        pass


@pytest.mark.parametrize("remote", ["spark://127.0.0.1:7077", "sc://", "sc://host:port"])
def test_an_address_that_is_none_is_refused(remote: str) -> None:
    with pytest.raises(ConfigurationError, match="no address of a Spark Connect endpoint"), connected(remote):
        pass


@pytest.mark.parametrize(
    "end", [";token=c2VjcmV0=", "token=c2VjcmV0", ";token=a/c2VjcmV0", ";token=a?c2VjcmV0", ";c2VjcmV0"]
)
def test_a_token_that_cannot_be_read_is_not_repeated(end: str) -> None:
    with pytest.raises(ConfigurationError) as told, connected(f"sc://127.0.0.1:1/{end}"):
        pass
    assert "c2VjcmV0" not in str(told.value)


def test_a_missing_client_is_told_before_anything_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyspark.sql.connect.session", None)
    with pytest.raises(ConfigurationError, match="the Spark client is not installed"), connected("sc://127.0.0.1:1"):
        pass


def test_what_answers_and_is_no_spark_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.spark.cluster.RETRIES", 0)
    with socket.create_server(("127.0.0.1", 0)) as server:
        refusing = threading.Thread(target=_end_each, args=(server,), daemon=True)
        refusing.start()
        remote = f"sc://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ClusterGone, match="gave no session"), connected(remote):
            pass
        server.shutdown(socket.SHUT_RDWR)
        refusing.join(timeout=10)


def _end_each(server: socket.socket) -> None:
    """Take each connection and end it at once, until the server is shut."""
    with suppress(OSError):
        while True:
            server.accept()[0].close()
