"""Takes the batches of one reading in: raw to the landing, frames through their contracts, refusals to quarantine; counts all of it.

Used by an extract and by a replay. What a reading's counts mean for its outcome is decided by those two.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Protocol

import polars as pl

from resources.connectors.sdk.stream import Batch, PartEnd, Reject, Stream
from resources.contracts.entity import Entity, entities
from resources.contracts.key_order import is_any_twice
from resources.contracts.validation import split_by_contract
from resources.errors import ContractBroken, Where
from resources.landing import ExtractLanding, Landing
from resources.operations import CanonicalFile, Operations, key_text
from resources.rarer_collections import rarer_collections

MIN_ROWS = 2_500
"""Root rows gathered before contracts run: per page they would cost more than the reading."""
MOST_PERSONAL_VALUES = 30_000
"""Personal values gathered before they are kept. Tokens fall anywhere in their store: each write touches most of it, however small."""
MOST_KEPT_MARKS = 60_000
"""Of values that this reading has kept already: of so many at least, and of twice as many at most. They take some 80 bytes each.

A mark is Python's own keyed hash of 64 bits: of a reading with 100,000 new values, one in two billion would leave one of them out,
which the next reading keeps.
"""
HEADER_REFUSED, DUPLICATE_KEY = "header_refused", "duplicate_key"
SEALED_CONTEXT = "sealed:"
"""How the stored context of a row begins when hexadecimal digits of a sealed envelope follow."""
ACKNOWLEDGED_REJECTS = 1_000
"""Refused rows told one by one in the acknowledgement of a file; the count tells the rest."""


class KeepsPersonalValues(Protocol):
    """What is asked of `resources.privacy.PiiStore`."""

    def put(self, rows: Iterable[tuple[str, str, str]]) -> int:
        """Keep (token, kind, value)."""
        ...


@dataclass
class Tally:
    """Counts of source rows, and what was written of them. Of one file, or of everything that belongs to no file."""

    received_qty: int = 0
    landed_qty: int = 0
    quarantined_qty: int = 0
    files: list[CanonicalFile] = field(default_factory=list)


class Collector:
    """One reading at work. ``stores_refusals``: refused rows go to quarantine as they come; a replay keeps them in ``refusals``.

    ``refused_keys``: (entity, key) of rows that the reading showed and that are not landed; None where the key is not known.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        system_code: str,
        extract_id: str,
        run_id: str,
        now: datetime,
        operations: Operations,
        landing: Landing,
        pii: KeepsPersonalValues | None,
        stores_refusals: bool = True,
    ) -> None:
        self.stream = stream
        self.system_code = system_code
        self.extract_id = extract_id
        self.bytes = 0
        self.parts: dict[str | None, Tally] = defaultdict(Tally)
        self.ends: dict[str, PartEnd] = {}
        self.rejects_by_part: dict[str, list[dict[str, object]]] = defaultdict(list)
        self.quarantined_by_part: Counter[str] = Counter()
        self.refusals: list[Reject] = []
        self.refused_keys: list[tuple[str, str | None]] = []
        self._run_id = run_id
        self._now = now
        self._operations = operations
        self._landing = landing
        self._pii = pii
        self._stores_refusals = stores_refusals
        self._writer: ExtractLanding = landing.extract(
            system_code, stream.name, extract_id, is_personal=stream.has_personal_data
        )
        self._where = Where(system_code=system_code, stream=stream.name)
        self._entities = _stream_entities(stream, self._where)
        self._waiting: list[Batch] = []
        self._personal: dict[str, tuple[str, str, str]] = {}
        self._kept: set[int] = set()
        self._kept_before: set[int] = set()
        self._observed_at = now

    def observe_at(self, watermark_at: datetime) -> None:
        """What ``observed_at`` says for rows whose connector does not say it."""
        self._observed_at = watermark_at

    def take(self, batch: Batch) -> None:
        """Land a batch. Its rows go on to contracts now, or with the next batches when they are few."""
        for name, data in batch.raw:
            self._writer.write_raw(name, data)
            self.bytes += len(data)
        if batch.personal:
            if self._pii is None:
                raise ContractBroken(
                    "personal values came from a stream, and there is no store for them",
                    where=self._where,
                    action="set ETALON_SECRET_KEY and run again",
                )
            self._gather(batch.personal)
            if len(self._personal) >= MOST_PERSONAL_VALUES:
                self._keep_personal(self._pii)
        if self._waiting and self._waiting[-1].part != batch.part:
            self._flush()
        self._waiting.append(batch)
        if batch.ends or sum(waiting.received_qty for waiting in self._waiting) >= MIN_ROWS:
            self._flush()
        for end in batch.ends:
            self._end(end)

    def close(self) -> None:
        """Pass on what still waits. Nothing is offered for loading before the values behind its tokens are kept."""
        self._flush()
        if self._pii is not None:
            self._keep_personal(self._pii)

    @property
    def landed_qty(self) -> int:
        """Source rows that became canonical rows."""
        return sum(tally.landed_qty for tally in self.parts.values())

    @property
    def quarantined_qty(self) -> int:
        """Source rows refused."""
        return sum(tally.quarantined_qty for tally in self.parts.values())

    @property
    def received_qty(self) -> int:
        """Source rows received, those of refused files left out."""
        return sum(tally.received_qty for tally in self.parts.values())

    @property
    def files(self) -> list[CanonicalFile]:
        """Canonical files written, in order."""
        return sorted((file for tally in self.parts.values() for file in tally.files), key=lambda file: file.number)

    @property
    def entity_rows(self) -> dict[str, int]:
        """Entity -> canonical rows."""
        rows = dict.fromkeys(self.stream.entities, 0)
        for file in self.files:
            rows[file.entity] += file.rows_qty
        return rows

    def refused_parts(self) -> list[str]:
        """Files of which nothing is loaded."""
        return [end.name for end in self.ends.values() if end.outcome == "refused"]

    def _gather(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Those that this reading has not kept yet: customers come again, and trying to keep a value costs as much as keeping it."""
        gathered, kept, kept_before = self._personal, self._kept, self._kept_before
        for row in rows:
            mark = hash(row[0])
            if mark not in kept and mark not in kept_before:
                gathered.setdefault(row[0], row)

    def _keep_personal(self, pii: KeepsPersonalValues) -> None:
        gathered, self._personal = self._personal, {}
        if not gathered:
            return
        pii.put(gathered.values())
        if len(self._kept) + len(gathered) > MOST_KEPT_MARKS:
            self._kept_before, self._kept = self._kept, set()
        self._kept.update(map(hash, gathered))

    def _end(self, end: PartEnd) -> None:
        self.ends[end.name] = end
        if end.outcome == "refused" and end.name in self.parts:
            self._landing.discard_canonical(self.parts.pop(end.name).files)

    @rarer_collections()
    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if not waiting:
            return
        part = waiting[0].part
        tally = self.parts[part]
        tally.received_qty += sum(batch.received_qty for batch in waiting)
        root = self.stream.entities[0]
        refused = [reject for batch in waiting for reject in batch.rejects]
        self._note_refused(refused)
        refused_keys: dict[str, pl.DataFrame] = {}
        for name, entity in self._entities.items():
            frame = self._frame(entity, waiting)
            if frame is None:
                continue
            header = name.removesuffix("_line")
            if header in refused_keys:
                shown = frame.select(entity.keys)
                frame, orphans = self._without_header(entity, header, frame, refused_keys[header], waiting)
                self._note_lost(entity, shown.join(frame.select(entity.keys), on=list(entity.keys), how="anti"))
                # Lines that are source rows of their own are refused; those inside their header's row leave with it.
                refused.extend(orphans if name == root else ())
            # A later file may tell a key again: that is a newer state of it, not a second row.
            is_many_files = self.stream.change_tracking == "files" and part is None
            within = pl.col("source_position").str.split(":").list.first() if is_many_files else None
            split = split_by_contract(
                entity,
                frame,
                where=self._where,
                unique_within=within,
                keeps_duplicates=self.stream.change_tracking != "files",
            )
            for row in split.refused:
                raw, context = _raw_at(waiting, row.position)
                refused.append(
                    Reject(
                        position=row.position,
                        raw=raw,
                        rule=row.rule,
                        reason=row.reason,
                        entity=name,
                        field=row.column,
                        line=line_of(row.position),
                        is_root=name == root,
                        context=context,
                    )
                )
            keys = list(entity.keys)
            is_of_files = self.stream.change_tracking == "files"
            is_key_twice = bool(split.refused or not is_of_files) and _has_key_twice(frame, keys)
            if split.refused:
                lost = frame.select(keys)[[row.row for row in split.refused]]
                # A key that another of its rows keeps is not lost, and its lines stay.
                kept = split.good.select(keys) if is_key_twice else lost.clear()
                refused_keys[name] = lost.join(kept, on=keys, how="anti")
                self._note_lost(entity, refused_keys[name])
            if name == root:
                tally.landed_qty += split.good.height
            good = split.good
            if is_key_twice and not is_of_files:
                # A set that moves while it is paged shows a row twice: the later sight of it counts, and it is no fault.
                good = good.unique(["system_code", *keys], keep="last", maintain_order=True)
            if good.height:
                tally.files.append(self._writer.write_canonical(name, good))
        tally.quarantined_qty += sum(reject.is_root for reject in refused)
        self._quarantine(refused, part)

    def _note_refused(self, rejects: Sequence[Reject]) -> None:
        """Rows that the connector refused: it may know their keys; of a root row nothing else of the stream is known then."""
        for reject in rejects:
            if reject.rule == DUPLICATE_KEY:
                continue  # the first row with this key is kept
            for name in self._entities if reject.is_root else (reject.entity,):
                key = (reject.keys or {}).get(name)
                self.refused_keys.append((name, None if key is None else key_text(key)))

    def _note_lost(self, entity: Entity, keys: pl.DataFrame) -> None:
        is_text = all(kind == pl.String for kind in keys.dtypes)
        for key in keys.iter_rows():
            self.refused_keys.append((entity.name, key_text(key) if is_text and None not in key else None))

    def _frame(self, entity: Entity, waiting: Sequence[Batch]) -> pl.DataFrame | None:
        """The rows of one entity in what waits, with the envelope, in the contract's order; None when there are none."""
        frames = [batch.frames[entity.name] for batch in waiting if entity.name in batch.frames]
        frames = [frame for frame in frames if frame.height]
        if not frames:
            return None
        try:
            frame = pl.concat(frames)
        except pl.exceptions.PolarsError as error:
            raise ContractBroken(
                f"batches of {entity.name} do not have the same columns and types: {self._told(error)}",
                where=self._where,
            ) from None
        envelope = [
            pl.lit(self.system_code, pl.String).alias("system_code"),
            pl.lit(self.extract_id, pl.String).alias("extract_id"),
        ]
        if "observed_at" not in frame.columns:
            observed_at = pl.lit(self._observed_at).cast(entity.polars_schema["observed_at"])
            envelope.append(observed_at.alias("observed_at"))
        frame = frame.with_columns(envelope)
        wanted = [name for name in entity.schema.columns if name in frame.columns]
        return frame.select(wanted + [name for name in frame.columns if name not in wanted])

    def _told(self, error: Exception) -> str:
        # polars quotes cells in some of its messages.
        return type(error).__name__ if self.stream.has_personal_data else str(error)

    def _without_header(
        self, entity: Entity, header: str, frame: pl.DataFrame, refused_keys: pl.DataFrame, waiting: Sequence[Batch]
    ) -> tuple[pl.DataFrame, list[Reject]]:
        """The lines whose header (`order` of `order_line`) was not refused, and the refusal of the others."""
        keys = list(refused_keys.columns)
        rejects = []
        for position in frame.join(refused_keys, on=keys, how="semi")["source_position"].to_list():
            raw, context = _raw_at(waiting, position)
            rejects.append(
                Reject(
                    position=position,
                    raw=raw,
                    rule=HEADER_REFUSED,
                    reason=f"its {header} was refused",
                    entity=entity.name,
                    line=line_of(position),
                    context=context,
                )
            )
        return frame.join(refused_keys, on=keys, how="anti", maintain_order="left"), rejects

    def _quarantine(self, rejects: Sequence[Reject], part: str | None) -> None:
        if not rejects:
            return
        if self.stream.has_personal_data:
            rejects = [_without_values(reject) for reject in rejects]
        if not self._stores_refusals:
            self.refusals.extend(rejects)
            return
        rows = []
        for reject in rejects:
            name = part or file_of(reject.position)
            if name is not None and len(self.rejects_by_part[name]) < ACKNOWLEDGED_REJECTS:
                self.rejects_by_part[name].append(
                    {
                        "line": reject.line,
                        "column": reject.column,
                        "field": reject.field,
                        "rule": reject.rule,
                        "reason": reject.reason,
                    }
                )
            if name is not None and reject.is_root:
                self.quarantined_by_part[name] += 1
            rows.append(self._row(reject, name))
        self._operations.add_quarantine(rows)

    def _row(self, reject: Reject, part: str | None) -> Mapping[str, Any]:
        is_sealed = self.stream.has_personal_data
        raw = reject.raw.encode("utf-8", "surrogateescape")
        context = reject.context
        if is_sealed and context:
            context = SEALED_CONTEXT + self._landing.sealer.seal(context.encode("utf-8", "surrogateescape")).hex()
        return {
            "extract_id": self.extract_id,
            "run_id": self._run_id,
            "system_code": self.system_code,
            "stream": self.stream.name,
            "entity": reject.entity,
            "part": part,
            "position": reject.position,
            "line": reject.line,
            "column_number": reject.column,
            "field": reject.field,
            "rule": reject.rule,
            "reason": reject.reason,
            "raw": self._landing.sealer.seal(raw) if is_sealed else raw,
            "context": context,
            "is_sealed": is_sealed,
            "is_root": reject.is_root,
            "status": "pending",
            "attempts": 0,
            "created_at": self._now,
        }


def _has_key_twice(frame: pl.DataFrame, keys: Sequence[str]) -> bool:
    return is_any_twice(frame.select("system_code", *keys))


def file_of(position: str) -> str | None:
    """The file in a position `<file>:<line>…`; None for another kind of position."""
    name, colon, rest = position.partition(":")
    return name if colon and rest[:1].isdigit() else None


def line_of(position: str) -> int | None:
    """The line in a position `<file>:<line>` or `<file>:<line>#<part of it>`; None for another kind of position."""
    digits = position.partition(":")[2].partition("#")[0]
    return int(digits) if digits.isdigit() else None


def _without_values(reject: Reject) -> Reject:
    """The refusal of a row of a personal stream: field and rule only.

    Any cell may hold a personal value once a row is out of place, and a reason goes where nothing is sealed: the operations
    store, the acknowledgement, the log.
    """
    told = f"{reject.field}: {reject.rule}" if reject.field else reject.rule
    return replace(reject, reason=f"{told} (the row is sealed; `etalon quarantine show` opens it)")


def _stream_entities(stream: Stream, where: Where) -> dict[str, Entity]:
    """The stream's entities, headers before their lines."""
    known = entities()
    unknown = [name for name in stream.entities if name not in known]
    if unknown:
        raise ContractBroken(f"no contract is declared for {', '.join(unknown)}", where=where)
    return {name: known[name] for name in sorted(stream.entities, key=lambda name: name.endswith("_line"))}


def _raw_at(waiting: Sequence[Batch], position: str) -> tuple[str, str]:
    """Raw text and context of a source row, from the batch that can tell."""
    name = file_of(position)
    for batch in waiting:
        if batch.raw_at is not None and (batch.part is None or batch.part == name):
            found = batch.raw_at(position)
            if found[0]:
                return found
    return "", ""
