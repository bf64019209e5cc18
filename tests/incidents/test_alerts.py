"""Messages: stored, sent by real servers' protocols, tried again, few, and without secrets."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import timedelta
from pathlib import Path

import pytest

from resources.alerts import Delivered, MailSender, Sender, WebhookSender, deliver, senders
from resources.errors import ConfigurationError, RetryableError
from resources.operations.alerts import Alert
from resources.settings import Settings
from tests.incidents.servers import hook, mail_server, self_signed
from tests.incidents.world import DAY, HOUR, MINUTE, START, World

ERROR = "system shop_fr, request r-17: no answer in time -> look at the system's own log"


def tell(world: World, means: dict[str, Sender], per_hour: int = 12) -> Delivered:
    return deliver(world.operations, means, retailer_name="ml", per_hour=per_hour, clock=lambda: world.now)


def an_alert() -> Alert:
    return Alert("a1", "email", "pending", "Subject é", "Text é", {"changes": []}, 1, 0, None, START, START, None)


def mails(port: int, **values: object) -> MailSender:
    url = str(values.pop("url", f"smtp://127.0.0.1:{port}"))
    return MailSender(url, sender="etalon@ml.example", receivers=("ops@ml.example", "ann@ml.example"), **values)  # type: ignore[arg-type]


def test_a_broken_stream_is_told_once_and_its_end_too(world: World) -> None:
    """Given a stream that fails for three readings and then works, expect two mails: its beginning, and its end after the damping."""
    with mail_server() as server:
        means: dict[str, Sender] = {"email": mails(server.port)}
        for _ in range(3):
            world.later(HOUR).read(outcome="failed", error=ERROR, request_id="r-17")
            world.refresh()
            tell(world, means)
        world.later(HOUR).read()
        for minutes in (1, 5, 6):
            world.later(minutes * MINUTE).refresh()
            tell(world, means)
    subjects = [message["Subject"] for message in server.messages]
    assert subjects == [
        "[Étalon ml] Opened: reading_failed shop_fr.orders, request r-17",
        "[Étalon ml] Over: reading_failed shop_fr.orders, request r-17",
    ]
    text = server.messages[0].get_content()
    for part in ("orders cannot be read", "since:   2026-05-18 11:00 UTC", "to do:   look at the system's own log"):
        assert part in text
    assert server.receivers[0] == ["ops@ml.example", "ann@ml.example"]
    journal = world.operations.watching.journal(kinds=("alert",))
    assert [(entry.direction, entry.outcome, entry.stream, entry.is_ok) for entry in journal] == [
        ("out", "sent", "email", True)
    ] * 2


def test_many_changes_are_one_message(world: World) -> None:
    for name in ("orders", "products"):
        world.read(name=name, outcome="failed", error=ERROR)
    world.refresh()
    with hook() as receiver:
        tell(world, {"webhook": WebhookSender(receiver.url)})
    [(_, body)] = receiver.deliveries
    told = json.loads(body)
    assert told["subject"] == "[Étalon ml] 2 opened"
    assert [change["incident"]["stream"] for change in told["changes"]] == ["orders", "products"]
    assert told["changes"][0]["incident"]["since_at"] == "2026-05-18T10:00:00Z"


def test_a_storm_is_a_few_messages_and_nothing_is_left_out(world: World) -> None:
    """Given a new trouble every four minutes for two hours and at most 4 messages an hour, expect 4 an hour, which tell all of it."""
    told = 0
    with hook() as receiver:
        for number in range(30):
            world.later(4 * MINUTE).run_ends(f"job_{number:03d}", error="x")
            world.refresh()
            tell(world, {"webhook": WebhookSender(receiver.url)}, per_hour=4)
        tell(world.later(HOUR), {"webhook": WebhookSender(receiver.url)}, per_hour=4)
    told = sum(len(json.loads(body)["changes"]) for _, body in receiver.deliveries)
    assert told == 30
    assert len(receiver.deliveries) <= 9


def test_what_cannot_be_sent_waits_and_is_an_incident_of_its_own(world: World) -> None:
    """Given a mail server that refuses for a while, expect later attempts, longer apart, `alert_failing`, and one mail in the end."""
    world.read(outcome="failed", error=ERROR)
    world.refresh()
    with mail_server(refuse=["451 later", "451 later", "451 later"]) as server:
        means: dict[str, Sender] = {"email": mails(server.port)}
        outcomes = []
        for _ in range(8):
            outcomes.append((tell(world, means).failed, tell(world, means).failed))
            world.later(MINUTE)
        assert outcomes[0] == (1, 0)  # the second attempt waits
        assert sum(first for first, _ in outcomes) == 3
        assert [m["Message-ID"] for m in server.messages] == [
            f"<{world.operations.alerts.find()[0].alert_id}@etalon.invalid>"
        ]
    [entry, *_] = world.operations.watching.journal(kinds=("alert",))
    assert (entry.outcome, entry.is_ok, entry.detail) == ("failed", False, "127.0.0.1 answered 451 (SMTPDataError)")


def test_alerts_that_do_not_get_out_are_an_incident(world: World) -> None:
    world.read(outcome="failed", error=ERROR)
    world.refresh()
    with mail_server(refuse=["451 later"] * 9) as server:
        for _ in range(3):
            tell(world, {"email": mails(server.port)})
            world.later(10 * MINUTE)
    [signal] = [signal for signal in world.signals() if signal.kind == "alert_failing"]
    assert (signal.stream, signal.since_at, signal.occurrences_qty) == ("alert_email", START, 3)
    world.later(3 * DAY)
    assert tell(world, {"email": mails(1)}).sent == 0
    assert [one.state for one in world.operations.alerts.find()] == ["failed"]


@pytest.mark.parametrize("error", [RetryableError("dead"), UnicodeError("label too long")])
def test_a_dead_server_is_tried_once_a_turn_and_keeps_no_other_means_waiting(world: World, error: Exception) -> None:
    class Broken:
        tried = 0

        def send(self, alert: Alert) -> None:  # noqa: ARG002
            self.tried += 1
            raise error

    class Good:
        sent = 0

        def send(self, alert: Alert) -> None:  # noqa: ARG002
            self.sent += 1

    broken, good = Broken(), Good()
    for number in range(3):
        world.run_ends(f"job_{number}", error="x")
        world.refresh()
        tell(world, {"email": broken, "webhook": good})
        world.later(timedelta(seconds=1))
    assert (broken.tried, good.sent) == (3, 3)
    world.later(MINUTE)
    tell(world, {"email": broken, "webhook": good})
    assert broken.tried == 4, "one of the three that wait, not each of them"
    assert all("x" not in (one.error or "") or "broke" in (one.error or "") for one in world.operations.alerts.find())


def test_with_nobody_to_tell_nothing_piles_up(world: World) -> None:
    world.read(outcome="failed", error=ERROR)
    world.refresh()
    assert tell(world, {}) == Delivered()
    with hook() as receiver:
        tell(world.later(HOUR), {"webhook": WebhookSender(receiver.url)})
    assert receiver.deliveries == []


def test_a_webhook_is_signed_and_a_refusal_names_no_secret() -> None:
    with hook(answers=[500, 302, 204]) as receiver:
        sender = WebhookSender(receiver.url, secret="shared")
        for status in ("500", "302"):
            with pytest.raises(RetryableError, match=f"answered HTTP {status}") as refused:
                sender.send(an_alert())
            assert "path-that-is-a-secret" not in str(refused.value) + repr(sender)
        sender.send(an_alert())
    headers, body = receiver.deliveries[-1]
    assert headers["X-Etalon-Signature"] == "sha256=" + hmac.digest(b"shared", body, hashlib.sha256).hex()
    assert {given["X-Etalon-Delivery"] for given, _ in receiver.deliveries} == {"a1"}
    with pytest.raises(RetryableError, match="cannot be reached"):
        WebhookSender("http://127.0.0.1:9/x").send(an_alert())


def test_a_login_goes_over_tls_alone(tmp_path: Path) -> None:
    """Given a server that offers STARTTLS, expect the login after it; given a certificate nobody vouches for, expect no login."""
    serving, believing = self_signed(tmp_path)
    with mail_server(tls=serving) as server:
        url = f"smtp://ann%40ml:pass%2Fword@127.0.0.1:{server.port}"
        mails(server.port, url=url, tls=believing).send(an_alert())
        assert server.log[:4] == ["EHLO", "STARTTLS", "EHLO", "AUTH"]
        assert server.logins == ["|ann@ml|pass/word"]
        assert server.messages[0]["Subject"] == "Subject é"
        with pytest.raises(RetryableError, match="SSLCertVerificationError") as refused:
            mails(server.port, url=url).send(an_alert())
        assert len(server.logins) == 1
        assert "word" not in str(refused.value)


def test_a_password_is_not_sent_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resources.alerts.mail._is_here", lambda host: False)
    with mail_server() as server:
        with pytest.raises(RetryableError, match="offers no TLS"):
            mails(server.port, url=f"smtp://ann:word@127.0.0.1:{server.port}").send(an_alert())
        assert server.logins == []


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"ETALON_ALERT_SMTP_URL": "mail.example:25"}, "ETALON_ALERT_SMTP_URL"),
        ({"ETALON_ALERT_SMTP_URL": "smtp://mail.example", "ETALON_ALERT_TO": "a@b.c"}, "ETALON_ALERT_FROM"),
        ({"ETALON_ALERT_SMTP_URL": "smtp://mail.example", "ETALON_ALERT_FROM": "a@b.c"}, "ETALON_ALERT_TO"),
        ({"ETALON_ALERT_WEBHOOK_URL": "hooks.example/x"}, "ETALON_ALERT_WEBHOOK_URL"),
    ],
)
def test_half_a_setting_is_refused(environ: dict[str, str], named: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=named):
        Settings.from_environment(environ, tmp_path)


def test_the_settings_give_the_means_and_show_no_secret(tmp_path: Path) -> None:
    environ = {
        "ETALON_ALERT_SMTP_URL": "smtps://ann:canary-1@mail.example",
        "ETALON_ALERT_FROM": "etalon@ml.example",
        "ETALON_ALERT_TO": "a@b.c, d@e.f",
        "ETALON_ALERT_WEBHOOK_URL": "https://hooks.example/canary-2",
        "ETALON_ALERT_WEBHOOK_SECRET": "canary-3",
    }
    settings = Settings.from_environment(environ, tmp_path)
    found = senders(settings)
    assert (sorted(found), settings.alert_to) == (["email", "webhook"], ("a@b.c", "d@e.f"))
    assert "canary" not in repr(settings) + repr(found)
    assert senders(Settings.from_environment({}, tmp_path)) == {}
