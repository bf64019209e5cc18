"""The proof of concept before going live: can this system be read, and do its rows fit? Nothing is kept or moved.

It reads as the real thing does, up to the contracts, and stops there: no landing, no quarantine, no cursor, no
acknowledgement.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from assets.progress import Progress
from assets.runtime import Runtime
from resources.connectors.sdk.stream import AccessCheck, Batch, Connector, FileConnector, Reading, Stream
from resources.contracts.entity import entities
from resources.contracts.validation import split_by_contract
from resources.errors import ConfigurationError, EtalonError, Where

EXTRACT_ID = "proof"
SHOWN_REASONS = 3
_CONNECTION = frozenset({"connection", "folder"})


@dataclass(frozen=True)
class Sample:
    """What a few batches of one stream held, in source rows; ``fitting_qty`` and ``refused_qty`` count canonical rows.

    ``error``: why it could not be read; empty when it could. ``reasons``: the most frequent ones for a refusal.
    """

    stream: str
    announced_qty: int | None
    read_qty: int
    fitting_qty: int
    refused_qty: int
    reasons: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Proof:
    """Everything that was tried on one system."""

    access: tuple[AccessCheck, ...]
    samples: tuple[Sample, ...]
    blind_spots: Mapping[str, tuple[str, ...]]

    @property
    def is_good(self) -> bool:
        """Access is granted, every stream answered, and no sample is refused whole. Single refused rows are what quarantine is for."""
        return all(line.is_ok is not False for line in self.access) and not any(
            sample.error or (sample.refused_qty and not sample.fitting_qty) for sample in self.samples
        )


def prove(runtime: Runtime, system_code: str, *, batches: int = 1) -> Proof:
    """Try a system: access, then (unless nothing can be reached) ``batches`` batches of each stream through the contracts, then
    the blind spots.

    Raises ConfigurationError for a system that retailer.yaml does not declare.
    """
    connector = runtime.connectors[runtime.retailer.system(system_code).code]
    streams = connector.streams()
    if not streams:
        raise ConfigurationError(
            "it has no stream to read", where=Where(system_code=system_code), action="declare its feeds"
        )
    step = f"check {system_code}"
    runtime.report(Progress(step, "access", 0, len(streams) + 1))
    access = _access(connector)
    samples = []
    # Without a connection every stream would only repeat the same refusal. A right that is missing is one stream's matter.
    is_reached = not any(line.subject in _CONNECTION and line.is_ok is False for line in access)
    for number, stream in enumerate(streams if is_reached else (), start=1):
        runtime.report(Progress(step, stream.name, number, len(streams) + 1))
        samples.append(_sample(connector, stream, batches, runtime.settings.clock()()))
    return Proof(
        access=access,
        samples=tuple(samples),
        blind_spots={stream.name: stream.blind_spots for stream in streams if stream.blind_spots},
    )


def _access(connector: Connector) -> tuple[AccessCheck, ...]:
    try:
        return connector.check_access()
    except EtalonError as error:
        return (AccessCheck("connection", False, str(error)),)


def _sample(connector: Connector, stream: Stream, batches: int, now: datetime) -> Sample:
    announced: int | None = None
    read = fitting = 0
    reasons: Counter[str] = Counter()
    refused = 0
    try:
        reading = _open(connector, stream, now)
        announced = reading.announced_qty
        held = 0
        for batch in reading.batches:
            # A batch without rows only tells that a file is over, or superseded by a later one.
            held += bool(batch.received_qty)
            read += batch.received_qty
            for rule in (f"{reject.entity}.{reject.field or '?'}: {reject.rule}" for reject in batch.rejects):
                reasons[rule] += 1
                refused += 1
            for name in batch.frames:
                split = split_by_contract(
                    entities()[name], _enveloped(connector.system_code, name, batch, reading.watermark_at)
                )
                fitting += split.good.height
                refused += len(split.refused)
                reasons.update(f"{name}.{row.column or '?'}: {row.rule}" for row in split.refused)
            reasons.update(f"{end.name}: {end.reason}" for end in batch.ends if end.outcome == "refused")
            if held == batches:
                break
    except EtalonError as error:
        return Sample(stream.name, announced, read, fitting, refused, error=str(error))
    told = tuple(f"{reason} ({quantity})" for reason, quantity in reasons.most_common(SHOWN_REASONS))
    return Sample(stream.name, announced, read, fitting, refused, (*reading.faults, *told))


def _open(connector: Connector, stream: Stream, now: datetime) -> Reading:
    """Read as on the very first day: no cursor, no file met before."""
    if isinstance(connector, FileConnector):
        return connector.read_files(stream, seen=(), now=now)
    return connector.read(stream, since_at=None, now=now)


def _enveloped(system_code: str, entity: str, batch: Batch, watermark_at: datetime) -> pl.DataFrame:
    frame = batch.frames[entity]
    envelope = {"system_code": pl.lit(system_code), "extract_id": pl.lit(EXTRACT_ID)}
    if "observed_at" not in frame.columns:
        envelope["observed_at"] = pl.lit(watermark_at, dtype=pl.Datetime("us", "UTC"))
    return frame.with_columns(**envelope).select(list(entities()[entity].polars_schema))
