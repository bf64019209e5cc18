"""When something is an incident, and how often people are told: the thresholds under `incidents` in retailer.yaml."""

from __future__ import annotations

from decimal import Decimal

from resources.retailer.fields import Code, NotNegative, Percent, Positive
from resources.retailer.systems import Declared


class Burst(Declared):
    """So many refusals within so many minutes are no accident."""

    count: Positive
    minutes: Positive


class SilentSystem(Declared):
    """A system that is read more or less often than the others."""

    system: Code
    after_hours: Positive


class IncidentRules(Declared):
    """Limits of the detectors. Every key has a default that fits a retailer with hourly readings.

    ``silent_after_hours``: without a complete reading for longer a system is silent; ``silent_systems`` says otherwise for some.
    ``customer_reads_factor``: so many times the busiest of the days before, and at least ``customer_reads_minimum`` persons, is
    an unusual volume. ``history_days``: how far back analysts see exchanges and incidents.
    """

    damping_minutes: NotNegative = 10
    alerts_per_hour: Positive = 12
    silent_after_hours: Positive = 26
    silent_systems: tuple[SilentSystem, ...] = ()
    quarantined_rows: Positive = 100
    quarantined_share_pct: Percent = Decimal(1)
    write_failing_after_minutes: Positive = 10
    order_unanswered_after_minutes: Positive = 120
    worker_silent_after_seconds: Positive = 60
    refused_webhooks: Burst = Burst(count=10, minutes=10)
    refused_logins: Burst = Burst(count=10, minutes=10)
    customer_reads_minimum: Positive = 500
    customer_reads_factor: Positive = 5
    history_days: Positive = 30

    def silent_hours(self, system_code: str) -> int:
        """Hours without a complete reading after which a system is silent."""
        return next((s.after_hours for s in self.silent_systems if s.system == system_code), self.silent_after_hours)
