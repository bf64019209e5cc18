"""Suspicious activity: bursts of refused signatures and logins, and an unusual volume of readings of personal data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from resources.incidents.detecting import detector
from resources.incidents.facts import OWN, Facts, stream_asset
from resources.operations.incidents import Signal
from resources.retailer import Burst

WEEKS_BEFORE = timedelta(days=14)
A_DAY = timedelta(days=1)
REFUSED = frozenset({"refused", "limited"})
"""Outcomes of who was turned away; `limited`: by the proxy, for trying too often."""


@detector("webhooks_refused")
def webhooks_refused(facts: Facts) -> Iterator[Signal]:
    """Many deliveries whose signature is wrong: a secret was changed on one side, or somebody tries."""
    for system_code, (quantity, first, last_request) in _bursts(facts, "webhook", facts.rules.refused_webhooks).items():
        burst = facts.rules.refused_webhooks
        yield Signal(
            kind="webhooks_refused",
            severity="error",
            system_code=system_code,
            stream="webhook",
            request_id=last_request,
            what=f"suspicious: {quantity} webhook deliveries for {system_code} were refused within {burst.minutes} minutes",
            action="if the shop's webhook secret was changed, give the new one in retailer.yaml; if not, look at where they come from in "
            "the proxy's log. Nothing was read because of them",
            since_at=first,
            occurrences_qty=quantity,
            evidence={"refused": quantity},
        )


@detector("logins_refused")
def logins_refused(facts: Facts) -> Iterator[Signal]:
    """Many refused logins at the UI's door."""
    for system_code, (quantity, first, _) in _bursts(facts, "login", facts.rules.refused_logins).items():
        yield Signal(
            kind="logins_refused",
            severity="error",
            system_code=system_code,
            stream="login",
            what=f"suspicious: {quantity} logins were refused within {facts.rules.refused_logins.minutes} minutes",
            action="see who tries in the proxy's log; change the password of a user who is not the one",
            since_at=first,
            occurrences_qty=quantity,
            evidence={"refused": quantity},
        )


@detector("customer_reads")
def customer_reads(facts: Facts) -> Iterator[Signal]:
    """Far more persons were read in a day than on the busiest of the days before: through Étalon, or of a system's stream."""
    since_at = facts.now - WEEKS_BEFORE - A_DAY
    personal = {key for key, stream in facts.known_streams.items() if stream.has_personal_data}
    days: defaultdict[tuple[str, str], Counter[int]] = defaultdict(Counter)
    for system_code, stream, at, quantity in facts.operations.watching.rows_read(since_at=since_at, streams=personal):
        days[system_code, stream][int((facts.now - at) / A_DAY)] += quantity
    reads = facts.operations.watching.journal(system_code=OWN, kinds=("customer_read",), since_at=since_at, limit=None)
    for entry in reads:
        days[OWN, "customer_read"][int((facts.now - entry.at) / A_DAY)] += entry.rows_qty or 1
    for (system_code, stream), by_day in days.items():
        today = by_day[0]
        before = [by_day[day] for day in by_day if day > 0]
        # A stream without a past has nothing to be compared with; values that are opened one by one always have.
        if not before and system_code != OWN:
            continue
        busiest = max(before, default=0)
        if today < facts.rules.customer_reads_minimum or today < facts.rules.customer_reads_factor * busiest:
            continue
        yield Signal(
            kind="customer_reads",
            severity="error",
            system_code=system_code,
            stream=stream,
            what=f"suspicious: {today} persons or their orders were read within a day; the busiest of the two weeks before had {busiest}",
            action="find out who asked (`etalon exchanges list` names the runs); if nobody did, change the keys of that system",
            since_at=facts.now - A_DAY,
            occurrences_qty=today,
            evidence={"today": today, "busiest day before": busiest},
            origins=(stream_asset(system_code, stream),) if system_code != OWN else (),
        )


def _bursts(facts: Facts, kind: str, limit: Burst) -> dict[str, tuple[int, datetime, str | None]]:
    """System -> refusals within the window, the first of them, and the id of the last request, where they are a burst."""
    window = timedelta(minutes=limit.minutes)
    entries = [
        entry
        for entry in facts.operations.watching.journal(kinds=(kind,), since_at=facts.now - window, limit=None)
        if entry.outcome in REFUSED
    ]
    found = {}
    for system_code in sorted({entry.system_code for entry in entries}):
        mine = [entry for entry in entries if entry.system_code == system_code]
        if len(mine) >= limit.count:
            found[system_code] = (len(mine), mine[0].at, mine[-1].request_id)
    return found
