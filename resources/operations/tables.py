"""Tables of the operations store. Instants are UTC. No query is written here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect


class UtcInstant(sa.TypeDecorator[datetime]):
    """An instant: aware in Python; stored as UTC without a zone, so that SQLite and PostgreSQL compare it alike."""

    impl = sa.DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Aware datetime -> naive UTC. Raises ValueError for a naive one: its zone would be a guess."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"instant {value} has no time zone")
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Naive UTC -> aware datetime."""
        return None if value is None else value.replace(tzinfo=UTC)


class Clipped(sa.TypeDecorator[str]):
    """Text of a note, cut to its column: PostgreSQL refuses a whole journal line for a request id that is too long. Never for keys."""

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002
        """The beginning that fits."""
        return None if value is None else value[: self.length]


metadata = sa.MetaData()

extract = sa.Table(
    "extract",
    metadata,
    sa.Column("extract_id", sa.String(64), primary_key=True),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("system_code", sa.String(64), nullable=False),
    sa.Column("stream", sa.String(64), nullable=False),
    sa.Column("kind", sa.String(16), nullable=False, comment="read, replay of quarantined rows, hint, or period"),
    sa.Column("outcome", sa.String(16), nullable=False, comment="running, complete, incomplete, failed"),
    sa.Column("is_full", sa.Boolean, nullable=False, comment="covers the whole stream: what is absent was deleted"),
    sa.Column("is_loadable", sa.Boolean, nullable=False, comment="its canonical files may be loaded"),
    sa.Column("since_at", UtcInstant),
    sa.Column("watermark_at", UtcInstant),
    sa.Column("announced_qty", sa.BigInteger, comment="source rows; null when the source announces nothing"),
    sa.Column("landed_qty", sa.BigInteger, nullable=False),
    sa.Column("quarantined_qty", sa.BigInteger, nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False, comment="as received"),
    sa.Column("duration_s", sa.Float, nullable=False),
    sa.Column("error", sa.Text),
    sa.Column("started_at", UtcInstant, nullable=False),
    sa.Column("finished_at", UtcInstant),
    sa.Column("period_from_at", UtcInstant, comment="of kind period: its first day; null: from the beginning"),
    sa.Column("period_to_at", UtcInstant, comment="of kind period: the day after its last"),
    sa.Index("extract_by_stream", "system_code", "stream", "started_at"),
)

extract_entity = sa.Table(
    "extract_entity",
    metadata,
    sa.Column("extract_id", sa.ForeignKey("extract.extract_id"), primary_key=True),
    sa.Column("entity", sa.String(64), primary_key=True),
    sa.Column("rows_qty", sa.BigInteger, nullable=False),
    sa.Column("loaded_at", UtcInstant, comment="when the warehouse had it; null: not yet"),
    sa.Index("extract_entity_to_load", "entity", "loaded_at"),
)

canonical_file = sa.Table(
    "canonical_file",
    metadata,
    sa.Column("extract_id", sa.ForeignKey("extract.extract_id"), primary_key=True),
    sa.Column("entity", sa.String(64), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("path", sa.Text, nullable=False, comment="relative to the data folder"),
    sa.Column("rows_qty", sa.BigInteger, nullable=False),
)

refused_key = sa.Table(
    "refused_key",
    metadata,
    sa.Column("extract_id", sa.ForeignKey("extract.extract_id"), nullable=False, index=True),
    sa.Column("entity", sa.String(64), nullable=False),
    sa.Column("key", sa.Text, comment="key of a row that was refused (see key_text); null when it could not be read"),
)

cursor = sa.Table(
    "cursor",
    metadata,
    sa.Column("system_code", sa.String(64), primary_key=True),
    sa.Column("stream", sa.String(64), primary_key=True),
    sa.Column("cursor_at", UtcInstant, nullable=False, comment="watermark of the last complete extract"),
    sa.Column("extract_id", sa.String(64), nullable=False),
)

quarantine = sa.Table(
    "quarantine",
    metadata,
    sa.Column(
        "quarantine_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
    ),
    sa.Column("extract_id", sa.ForeignKey("extract.extract_id"), nullable=False, index=True),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("system_code", sa.String(64), nullable=False),
    sa.Column("stream", sa.String(64), nullable=False),
    sa.Column("entity", sa.String(64), nullable=False),
    sa.Column("part", sa.Text, comment="file it came in"),
    sa.Column("position", sa.Text, nullable=False),
    sa.Column("line", sa.BigInteger),
    sa.Column("column_number", sa.Integer),
    sa.Column("field", sa.Text),
    sa.Column("rule", sa.String(128), nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("raw", sa.LargeBinary, nullable=False, comment="as received, UTF-8; sealed when is_sealed"),
    sa.Column("context", sa.Text, nullable=False, comment="what is needed besides raw to read it again"),
    sa.Column("is_sealed", sa.Boolean, nullable=False),
    sa.Column("is_root", sa.Boolean, nullable=False),
    sa.Column("status", sa.String(16), nullable=False, comment="pending, replayed, superseded, erased"),
    sa.Column("attempts", sa.Integer, nullable=False),
    sa.Column("created_at", UtcInstant, nullable=False),
    sa.Column("resolved_at", UtcInstant),
    sa.Column("replay_extract_id", sa.String(64)),
    sa.Index("quarantine_by_stream", "system_code", "stream", "status"),
)

exchange = sa.Table(
    "exchange",
    metadata,
    sa.Column("exchange_id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("at", UtcInstant, nullable=False),
    sa.Column("run_id", sa.String(64), nullable=False),
    sa.Column("extract_id", sa.String(64)),
    sa.Column("system_code", sa.String(64), nullable=False),
    sa.Column("stream", Clipped(64)),
    sa.Column("kind", sa.String(64), nullable=False, comment="what happened: an error's class, file_refused, note, …"),
    sa.Column("is_ok", sa.Boolean, nullable=False),
    sa.Column("detail", sa.Text, nullable=False),
    sa.Column("direction", sa.String(8), comment="in or out, seen from here; null: nothing crossed"),
    sa.Column("outcome", sa.String(16), comment="the extract's, or applied, partly, refused, …"),
    sa.Column("rows_qty", sa.BigInteger),
    sa.Column("bytes", sa.BigInteger),
    sa.Column("duration_s", sa.Float),
    sa.Column("request_id", Clipped(128)),
    sa.Column("file", sa.Text),
    sa.Column("line", sa.BigInteger),
    sa.Index("exchange_by_system", "system_code", "at"),
)

file_receipt = sa.Table(
    "file_receipt",
    metadata,
    sa.Column("system_code", sa.String(64), primary_key=True),
    sa.Column("stream", sa.String(64), primary_key=True),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column(
        "outcome", sa.String(16), nullable=False, comment="accepted, refused, duplicate, superseded, waiting, lost"
    ),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("size_bytes", sa.BigInteger, nullable=False),
    sa.Column("sequence_scope", sa.String(255), nullable=False),
    sa.Column("sequence", sa.BigInteger),
    sa.Column("extract_id", sa.String(64), nullable=False),
    sa.Column("announced_qty", sa.BigInteger),
    sa.Column("received_qty", sa.BigInteger, nullable=False),
    sa.Column("landed_qty", sa.BigInteger, nullable=False),
    sa.Column("quarantined_qty", sa.BigInteger, nullable=False),
    sa.Column("seen_at", UtcInstant, nullable=False),
    sa.Column("acknowledged_at", UtcInstant, comment="when its acknowledgement was written"),
    sa.Index("file_receipt_by_sha256", "system_code", "stream", "sha256"),
)
