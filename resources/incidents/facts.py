"""What detectors look at: the operations store, the retailer, the streams that are read, and the instant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from resources.connectors.sdk.stream import Stream
from resources.operations import Operations
from resources.operations.incidents import Impact
from resources.operations.watching import LastReadings
from resources.retailer import IncidentRules, Retailer

OWN = "etalon"
"""System code of what is our own: runs, the fast lane's worker, alerts."""

SUBJECT_KPI: Mapping[str, str] = {"stock": "k1b", "price": "k4", "publication": "k1b", "shipment": "k2"}
"""The KPI that shows it when a subject of plans is not written."""

SUBJECT_OF: Mapping[str, str] = {
    "published_qty": "stock",
    "regular_minor": "price",
    "promotion": "price",
    "is_published": "publication",
    "shipment": "shipment",
}
"""Attribute that is written -> subject of plans."""


@dataclass(frozen=True)
class Facts:
    """How things stand at ``now``. What several detectors ask is asked once.

    ``streams``: the streams of each system of retailer.yaml; what is not among them is no longer read, and no trouble.
    """

    operations: Operations
    retailer: Retailer
    streams: Mapping[str, Sequence[Stream]]
    now: datetime

    @property
    def rules(self) -> IncidentRules:
        """The limits that retailer.yaml sets."""
        return self.retailer.incidents

    @cached_property
    def known_streams(self) -> dict[tuple[str, str], Stream]:
        """Stream by (system, name)."""
        return {(code, stream.name): stream for code, streams in self.streams.items() for stream in streams}

    @cached_property
    def readings(self) -> list[LastReadings]:
        """How the readings of each stream stand."""
        found = self.operations.watching.last_readings(now=self.now)
        return [reading for reading in found if (reading.system_code, reading.stream) in self.known_streams]

    def reading(self, system_code: str, stream: str) -> LastReadings | None:
        """How the readings of one stream stand; None when it was never read."""
        return next((r for r in self.readings if (r.system_code, r.stream) == (system_code, stream)), None)

    def written_to(self, channel_code: str, subject: str) -> tuple[tuple[str, ...], Impact]:
        """Asset keys, and what is touched, when a subject of a channel is not written as it should."""
        kpi = SUBJECT_KPI.get(subject)
        touches = Impact(
            channels=(channel_code,),
            kpis=(kpi,) if kpi else (),
            work_lists=(f"kpis.{kpi}_worklist",) if kpi else (),
        )
        return (f"sync/{channel_code}/receipts",), touches


def stream_asset(system_code: str, stream: str) -> str:
    """Asset key of a stream."""
    return f"{system_code}/{stream}"
