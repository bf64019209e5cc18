"""Taking what waits to be told, sending it, and keeping what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from resources.alerts.composing import compose
from resources.alerts.mail import MailSender
from resources.alerts.webhook import WebhookSender
from resources.errors import RetryableError
from resources.operations import ExchangeEntry, Operations
from resources.operations.alerts import Alert
from resources.settings import Settings

OWN = "etalon"


class Sender(Protocol):
    """One means of telling."""

    def send(self, alert: Alert) -> None:
        """Send one message, or raise RetryableError."""
        ...


@dataclass(frozen=True)
class Delivered:
    """Messages made, sent, and not sent for now."""

    queued: int = 0
    sent: int = 0
    failed: int = 0


def senders(settings: Settings) -> dict[str, Sender]:
    """The means that the settings give; none when they give none. Connects to nothing."""
    found: dict[str, Sender] = {}
    if settings.alert_smtp_url:
        found["email"] = MailSender(settings.alert_smtp_url, sender=settings.alert_from, receivers=settings.alert_to)
    if settings.alert_webhook_url:
        found["webhook"] = WebhookSender(settings.alert_webhook_url, secret=settings.alert_webhook_secret)
    return found


def deliver(
    operations: Operations,
    means: Mapping[str, Sender],
    *,
    retailer_name: str,
    per_hour: int,
    clock: Callable[[], datetime],
) -> Delivered:
    """Make messages of what changed and is due, then send all that wait. What cannot be sent waits for a later call."""
    alerts = operations.alerts
    queued = alerts.queue(
        tuple(means), compose=lambda changes: compose(retailer_name, changes), per_hour=per_hour, now=clock()
    )
    sent = failed = 0
    broken: dict[str, str] = {}
    for one in alerts.claim(tuple(means), now=clock()):
        if one.means in broken:
            # Each try may take its whole time limit: a dead server would keep the others waiting, and its messages be claimed twice.
            alerts.not_sent(one, error=broken[one.means], now=clock(), was_tried=False)
            continue
        started = time.perf_counter()
        error: str | None = None
        try:
            means[one.means].send(one)
        except RetryableError as caught:
            error = caught.what
        except Exception as caught:  # noqa: BLE001 one means that breaks must not silence the other; its text may hold an address
            error = f"{one.means} broke ({type(caught).__name__})"
        if error is not None:
            broken[one.means] = error
        now = clock()
        if error is None:
            alerts.sent(one.alert_id, now=now)
            sent += 1
        else:
            alerts.not_sent(one, error=error, now=now)
            failed += 1
        operations.add_exchange(
            ExchangeEntry(
                at=now,
                run_id="",
                system_code=OWN,
                stream=one.means,
                kind="alert",
                is_ok=error is None,
                detail=error or one.subject,
                direction="out",
                outcome="sent" if error is None else "failed",
                rows_qty=one.changes_qty,
                duration_s=time.perf_counter() - started,
                request_id=one.alert_id,
            )
        )
    return Delivered(len(queued), sent, failed)
