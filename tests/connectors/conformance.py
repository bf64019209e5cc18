"""What any shop connector must do on any shop: recorded, invented or live. One function per promise.

A new kind gets them all on its recorded exchanges by two lines:

    from tests.connectors.conformance import promises
    TestBoutika = promises("boutika", page="page", size="per_page", total="X-Total")
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from datetime import datetime
from typing import Any, ClassVar

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from resources.connectors.registry import build_connector
from resources.connectors.sdk.periods import PeriodConnector
from resources.connectors.sdk.stream import Connector
from resources.contracts.entity import entities
from resources.errors import PermanentError
from tests.connectors.recorded import RecordedShop
from tests.connectors.support import (
    NOW,
    TOKENISER,
    Whole,
    assert_keeps_contract,
    clock,
    read,
    retailer,
    stream_of,
    system,
)
from tests.connectors.transport import Call, Reply, Shop, session_factory


def assert_stream_keeps_its_promises(connector: Connector, name: str, *, now: datetime) -> Whole:
    """Announced = landed + quarantined; only declared entities; every frame keeps its contract; refusals say why."""
    stream = stream_of(connector, name)
    found = read(connector, name, now=now)
    quarantined = sum(reject.is_root for reject in found.rejects)
    assert found.reading.announced_qty == found.landed_qty + quarantined
    assert found.reading.watermark_at <= now
    assert set(found.frames) <= set(stream.entities)
    for entity, frame in found.frames.items():
        assert_keeps_contract(entity, frame)
        assert frame["source_position"].null_count() == 0
    for reject in found.rejects:
        assert reject.raw
        assert reject.reason
        assert reject.entity in stream.entities
    root = found.frames.get(stream.entities[0])
    assert (0 if root is None else root.height) == found.landed_qty, "one source row is one root row"
    return found


def assert_orders_add_up(found: Whole, *, tolerance_minor: int = 0) -> None:
    """Lines + delivery + fees - discount = total. A shop that rounds on the total only may be off by a cent a line."""
    if not found.frames:
        return
    gross = (pl.col("net_minor") + pl.col("tax_minor")).sum().alias("lines_minor")
    lines = found.frames["order_line"].group_by("order_external_id").agg(gross)
    summed = (
        pl.col("lines_minor").fill_null(0) + pl.col("shipping_minor") + pl.col("fee_minor") - pl.col("discount_minor")
    )
    off = (
        found.frames["order"]
        .join(lines, on="order_external_id", how="left")
        .filter((summed - pl.col("total_minor")).abs() > tolerance_minor)
    )
    assert off.select("order_external_id", "lines_minor", "total_minor").rows() == []


class ConnectorPromises:
    """The promises on recorded exchanges, once per declared stream. Made by :func:`promises`."""

    kind: ClassVar[str]
    paging: ClassVar[dict[str, str]]
    options: ClassVar[dict[str, Any]]
    page_sizes: ClassVar[tuple[int, int]]

    @classmethod
    def shop(cls) -> Shop:
        """A recorded shop as nobody has read it yet."""
        return RecordedShop(cls.kind, **cls.paging)

    @classmethod
    def connector(cls, shop: Shop, **options: Any) -> Connector:
        """The connector on a shop, declared as retailer.yaml would."""
        return build_connector(
            system(cls.kind, **{**cls.options, **options}),
            retailer=retailer(),
            tokeniser=TOKENISER,
            clock=clock,
            session_factory=session_factory(shop),
        )

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """One test per stream: a stream that is declared cannot be forgotten."""
        if "stream_name" in metafunc.fixturenames:
            names = [stream.name for stream in self.connector(_unreachable).streams()]
            metafunc.parametrize("stream_name", names)

    def test_nothing_is_asked_before_something_is_read(self) -> None:
        """Building a connector and asking what it can do makes no call."""
        connector = self.connector(_unreachable)
        assert connector.streams()
        connector.writes()

    def test_streams_are_declared_whole(self) -> None:
        """Names are given once, entities exist, blind spots are sentences, and what is said to be read by period can be."""
        connector = self.connector(_unreachable)
        streams = connector.streams()
        assert len({stream.name for stream in streams}) == len(streams)
        for stream in streams:
            assert set(stream.entities) <= set(entities()), f"{stream.name}: no such entity"
            assert stream.keys, f"{stream.name}: no key"
            assert all(" " in spot for spot in stream.blind_spots)
            assert stream.period_field is None or isinstance(connector, PeriodConnector), (
                f"{stream.name}: no read_period"
            )

    def test_stream_keeps_its_promises(self, stream_name: str) -> None:
        """Announced adds up, frames keep their contracts, refusals say why."""
        found = assert_stream_keeps_its_promises(self.connector(self.shop()), stream_name, now=NOW)
        assert found.received_qty, f"nothing is recorded of {stream_name}"
        if {"order", "order_line"} <= set(found.frames):
            assert_orders_add_up(found)

    def test_page_size_changes_nothing(self, stream_name: str) -> None:
        """The same rows, in pages of any size."""
        small, large = (
            read(self.connector(self.shop(), page_size=size), stream_name).frames for size in self.page_sizes
        )
        assert set(small) == set(large)
        for entity, frame in small.items():
            keys = list(entities()[entity].keys)
            one, other = (whole.drop("source_position").sort(keys) for whole in (frame, large[entity]))
            assert_frame_equal(one, other)

    def test_personal_values_are_tokens(self, stream_name: str) -> None:
        """A stream that gathers personal values says so: what it receives is then stored sealed."""
        connector = self.connector(self.shop())
        found = read(connector, stream_name)
        assert stream_of(connector, stream_name).has_personal_data or not found.personal
        values = {value for _, _, value in found.personal}
        for frame in found.frames.values():
            for column in frame.select(pl.col(pl.String)).iter_columns():
                assert values.isdisjoint(column.drop_nulls().to_list()), column.name

    def test_a_permanent_error_is_not_retried_and_holds_no_secret(self, stream_name: str) -> None:
        """A refused key ends the reading after one call, and no message shows the key."""
        calls: list[Call] = []

        def refusing(call: Call) -> Reply:
            calls.append(call)
            return Reply(401, b"{}")

        declared = system(self.kind, **self.options)
        with pytest.raises(PermanentError) as caught:
            read(self.connector(refusing), stream_name)
        assert len(calls) == 1
        told = "".join(traceback.format_exception(caught.value)) + repr(caught.value)
        for name in ("key", "secret"):
            assert str(getattr(declared, name)) not in told


def promises(
    kind: str,
    *,
    shop: Callable[[], Shop] | None = None,
    page_sizes: tuple[int, int] = (2, 50),
    options: dict[str, Any] | None = None,
    **paging: str,
) -> type[ConnectorPromises]:
    """The promises of a kind of system on `tests/recordings/<kind>/`, as a test class.

    ``paging``: how its pages are asked for, see :class:`RecordedShop`; or ``shop`` makes a stand-in of its own.
    ``options``: further keys of the system's block in retailer.yaml.
    """
    attributes: dict[str, Any] = {"kind": kind, "paging": paging, "options": options or {}, "page_sizes": page_sizes}
    if shop is not None:
        attributes["shop"] = staticmethod(shop)
    return type(f"Test{kind.title()}", (ConnectorPromises,), attributes)


def _unreachable(call: Call) -> Reply:
    raise AssertionError(f"nothing should be asked yet, got GET {call.path}")
