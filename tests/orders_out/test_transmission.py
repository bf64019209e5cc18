"""Transmissions: given orders, answers and cancellations, expect files, states and the journal; and each order once."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from lxml import etree

from resources.errors import ConfigurationError, PermanentError, RetryableError
from resources.operations.order_messages import OrderKey
from resources.orders_out import OutgoingMessage
from resources.orders_out.exported import ORDERS, read_export
from resources.settings import sqlalchemy_postgres_url
from tests.orders_out.given import MESSAGE, NOW, Desk, answer, export, kept, line, order
from tests.postgres_server import PostgresServer


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.open(tmp_path)


def numbers(desk: Desk, name: str) -> list[str | None]:
    """Order numbers in a file."""
    return [element.get("numero") for element in etree.parse(str(desk.out.folder / name)).getroot()]


def test_orders_go_out_once(desk: Desk) -> None:
    given = export([order("A"), order("B", ordered_at=NOW - timedelta(hours=2))])
    first = desk.send(given)
    assert first.files == ("ORDERS_000001_20260518100100.xml",)
    assert desk.files() == ["ORDERS_000001_20260518100100.xml", "ORDERS_000001_20260518100100.xml.done"]
    assert numbers(desk, first.files[0]) == ["B", "A"]
    assert (desk.state("A"), desk.state("B")) == ("sent", "sent")
    again = desk.send(given)
    assert (again.files, again.sent_qty) == ((), 0)
    assert len(desk.files()) == 2


def test_the_marker_tells_orders_and_checksum(desk: Desk) -> None:
    name = desk.send(export([order("A")])).files[0]
    marker = json.loads((desk.out.folder / f"{name}.done").read_text())
    assert marker == {"rows": 1, "sha256": desk.messages.files("erp", "erp_orders")[0].sha256}


def test_files_hold_so_many_orders_and_are_numbered_on(desk: Desk) -> None:
    desk.message = replace_max(2)
    sent = desk.send(export([order(str(number)) for number in range(5)]))
    assert [len(numbers(desk, name)) for name in sent.files] == [2, 2, 1]
    assert [name[:13] for name in sent.files] == ["ORDERS_000001", "ORDERS_000002", "ORDERS_000003"]
    assert desk.send(export([order("9")])).files[0].startswith("ORDERS_000004")


def test_a_bad_order_waits_and_the_others_go(desk: Desk) -> None:
    bad = export([order("A"), order("B")], [line("A"), line("B", sku=None)])
    summary = desk.send(bad)
    assert summary.sent_qty == 1
    assert [(key.order_number, "sku" in reason) for key, reason in summary.failed] == [("B", True)]
    assert desk.state("B") == "failed"
    # The same again tells the journal nothing new; mended, it goes by itself: it was never sent.
    desk.send(bad)
    assert [entry.is_ok for entry in desk.operations.exchanges()] == [False, True]
    assert desk.send(export([order("B")])).sent_qty == 1
    assert desk.state("B") == "sent"


def test_states_follow_what_the_erp_answers(desk: Desk) -> None:
    desk.send(export([order("A"), order("B"), order("C")]))
    answered = [answer("A"), answer("B", accepted=False, reason="Article inconnu"), answer("X")]
    summary = desk.send(export([], answers=answered))
    assert (summary.acknowledged_qty, summary.refused_qty) == (1, 1)
    assert [desk.state(number) for number in "ABCX"] == ["acknowledged", "refused", "sent", None]
    refused = desk.messages.get("erp", OrderKey("web-fr", "B"))
    assert refused is not None
    assert refused.reason == "Article inconnu"
    # The ERP changes its mind by itself.
    desk.send(export([], answers=[answer("B", at=NOW + timedelta(hours=1))]))
    assert desk.state("B") == "acknowledged"


def test_a_refused_order_is_sent_again_when_a_person_says_so(desk: Desk) -> None:
    desk.send(export([order("A")]))
    no = answer("A", accepted=False, reason="Article bloqué")
    desk.send(export([], answers=[no]))
    desk.messages.resend("erp", OrderKey("web-fr", "A"), by="lea", reason="débloqué", now=desk.now)
    # It is exported no more, since it was refused: what was kept of it goes.
    assert desk.send(export([], answers=[no])).sent_qty == 1
    # The old answer is still there, and is not taken for the new one.
    desk.send(export([], answers=[no]))
    assert desk.state("A") == "sent"
    desk.send(export([], answers=[answer("A", at=NOW + timedelta(hours=1))]))
    assert desk.state("A") == "acknowledged"
    told = [(event.state, event.by, event.reason) for event in desk.messages.history("erp", OrderKey("web-fr", "A"))]
    assert told == [
        ("to_send", "etalon", ""),
        ("sent", "etalon", ""),
        ("refused", "erp", "Article bloqué"),
        ("to_send", "lea", "débloqué"),
        ("to_send", "etalon", ""),
        ("sent", "etalon", ""),
        ("acknowledged", "erp", ""),
    ]


@pytest.mark.parametrize("answers", [[], [answer("A")]], ids=["sent", "acknowledged"])
def test_what_is_on_its_way_or_booked_is_not_sent_again(desk: Desk, answers: list[dict[str, object]]) -> None:
    desk.send(export([order("A")]))
    desk.send(export([], answers=answers))
    with pytest.raises(ConfigurationError, match="only a refused or failed one"):
        desk.messages.resend("erp", OrderKey("web-fr", "A"), by="lea", reason="?", now=desk.now)


def test_a_twin_of_a_sent_order_is_not_sent(desk: Desk) -> None:
    imported = order("SHOPREF", channel_code="marketplace", order_external_id="55")
    desk.send(export([imported]))
    # Its real number becomes known; then the marketplace tells of it itself.
    numbered = order("MP1", channel_code="marketplace", order_external_id="55")
    assert desk.send(export([numbered])).sent_qty == 0
    desk.send(export([order("MP2", channel_code="marketplace", order_external_id="66")]))
    own = order(
        "MP2", channel_code="marketplace", system_code="marketplace", order_external_id="MP2", order_id="O-other"
    )
    assert desk.send(export([own], [line("other")])).sent_qty == 0
    # The answer quotes the number that is right now.
    yes = {**answer("MP1"), "channel_code": "marketplace", "order_external_id": "55"}
    desk.send(export([], answers=[yes]))
    assert desk.state("SHOPREF", "marketplace") == "acknowledged"


def test_orders_that_share_a_number_are_told_apart_by_a_person(desk: Desk) -> None:
    parts = [order("A"), order("A", order_id="O-2", order_external_id="2", ordered_at=NOW)]
    summary = desk.send(export(parts, [line("A"), line("2")]))
    assert summary.sent_qty == 1
    assert [key.order_number for key, _ in summary.failed] == ["A (2)"]
    # Once the first is acknowledged only the second is exported: it must not vanish.
    yes = [answer("A"), {**answer("A"), "order_external_id": "2"}]  # both orders bear the number that was answered
    late = desk.send(export(parts[1:], [line("2")], answers=yes))
    assert [key.order_number for key, _ in late.failed] == ["A (2)"]
    assert (desk.state("A"), desk.state("A (2)")) == ("acknowledged", "failed")


def test_an_order_cancelled_after_it_was_sent_is_a_persons_work(desk: Desk) -> None:
    off = [{"channel_code": "web-fr", "order_number": number, "cancelled_at": NOW} for number in "AB"]
    assert desk.send(export([order("A")])).sent_qty == 1
    summary = desk.send(export([order("B")], cancelled=off))
    assert (summary.sent_qty, summary.cancelled_qty) == (0, 1)
    found = desk.messages.get("erp", OrderKey("web-fr", "A"))
    assert found is not None
    assert (found.state, found.cancelled_at) == ("sent", NOW)
    assert desk.send(export([], cancelled=off)).cancelled_qty == 0


def test_an_order_cancelled_before_it_goes_again_stays(desk: Desk) -> None:
    desk.send(export([order("A")]))
    desk.send(export([], answers=[answer("A", accepted=False, reason="non")]))
    desk.messages.resend("erp", OrderKey("web-fr", "A"), by="lea", reason="?", now=desk.now)
    off = [{"channel_code": "web-fr", "order_number": "A", "cancelled_at": NOW}]
    assert desk.send(export([], cancelled=off)).sent_qty == 0
    assert desk.state("A") == "failed"


def test_the_journal_tells_each_file(desk: Desk) -> None:
    name = desk.send(export([order("A"), order("B")])).files[0]
    (entry,) = desk.operations.exchanges()
    size = (desk.out.folder / name).stat().st_size
    assert (entry.kind, entry.direction, entry.outcome, entry.is_ok) == ("order_file", "out", "sent", True)
    assert (entry.system_code, entry.stream, entry.file, entry.rows_qty, entry.bytes) == (
        "erp",
        "erp_orders",
        name,
        2,
        size,
    )


def test_a_folder_that_is_not_there_keeps_everything_back(desk: Desk) -> None:
    desk.out.folder.rmdir()
    with pytest.raises(PermanentError, match="is not there"):
        desk.send(export([order("A")]))
    assert desk.messages.files("erp", "erp_orders") == []
    assert [(entry.is_ok, entry.outcome) for entry in desk.operations.exchanges()] == [(False, "failed")]
    desk.out.folder.mkdir()
    assert desk.send(export([order("A")])).sent_qty == 1


def test_a_file_of_the_same_name_by_somebody_else_is_never_overwritten(desk: Desk) -> None:
    stranger = desk.out.folder / "ORDERS_000001_20260518100100.xml"
    stranger.write_text("theirs")
    with pytest.raises(PermanentError, match="another content"):
        desk.send(export([order("A")]))
    assert stranger.read_text() == "theirs"
    assert not stranger.with_name(stranger.name + ".done").exists()
    stranger.unlink()
    assert desk.send(export([])).files == ("ORDERS_000001_20260518100100.xml",)


def test_only_orders_since_an_instant(desk: Desk) -> None:
    given = export([order("OLD", ordered_at=NOW - timedelta(days=1)), order("NEW", ordered_at=NOW)])
    assert desk.send(given.since(NOW)).sent_qty == 1
    assert (desk.state("OLD"), desk.state("NEW")) == (None, "sent")
    assert given.since(None) is given


def test_two_transmissions_do_not_meet(desk: Desk) -> None:
    class Meets(type(desk.out)):  # type: ignore[misc]
        def check(self) -> None:
            with pytest.raises(RetryableError, match="another process"):
                Desk.open(desk.root).send(export([order("A")]))

    desk.out = Meets("erp", desk.out.folder)
    assert desk.send(export([order("A")])).sent_qty == 1


def test_an_export_comes_back_as_it_was(tmp_path: Path) -> None:
    given = export([order("A")], answers=[answer("A")])
    found = kept(tmp_path, given)
    assert found.orders.equals(given.orders)
    assert found.lines.equals(given.lines)
    assert found.answers.equals(given.answers)


def test_two_exports_are_never_mixed(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="etalon run"):
        read_export(tmp_path)
    kept(tmp_path / "one", export([order("A")]))
    kept(tmp_path / "two", replace(export([order("B")]), export_id="run-2"))
    (tmp_path / "two" / f"{ORDERS}.parquet").replace(tmp_path / "one" / f"{ORDERS}.parquet")
    with pytest.raises(RetryableError, match="being replaced"):
        read_export(tmp_path / "one")


def test_the_same_on_postgres(tmp_path: Path, postgres: PostgresServer) -> None:
    desk = Desk.open(tmp_path, sqlalchemy_postgres_url(postgres.new_database()))
    assert desk.send(export([order("A"), order("B")], [line("A"), line("B", sku=None)])).sent_qty == 1
    desk.send(export([], answers=[answer("A", accepted=False, reason="non")]))
    desk.messages.resend("erp", OrderKey("web-fr", "A"), by="lea", reason="oui", now=desk.now)
    assert desk.send(export([order("A")])).sent_qty == 1
    assert desk.messages.counts() == {("erp", "sent"): 1, ("erp", "failed"): 1}
    assert desk.send(export([order("A")])).sent_qty == 0


def replace_max(orders: int) -> OutgoingMessage:
    """The message with smaller files."""
    return MESSAGE.model_copy(update={"max_orders": orders})
