"""What the main job leaves for the sync of a channel: its differences and the facts its guards need.

Belongs here: the two files `<data>/channels/<channel>.parquet` and `.json`, written whole and renamed into place, and reading them.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from resources.errors import PermanentError, RetryableError, Where

FOLDER = "channels"
_INSTANTS = ("observation_read_at", "oldest_observed_at", "orders_read_at", "source_as_of_at")

COLUMNS: Mapping[str, pl.DataType] = {
    "channel_code": pl.String(),
    "system_code": pl.String(),
    "subject": pl.String(),
    "entity": pl.String(),
    "external_id": pl.String(),
    "location_code": pl.String(),
    "attribute": pl.String(),
    "product_id": pl.String(),
    "sku": pl.String(),
    "before_value": pl.String(),
    "after_value": pl.String(),
    "reason": pl.String(),
    "units_at_risk": pl.Int64(),
    "value_at_risk_minor": pl.Int64(),
    "currency_code": pl.String(),
    "observed_at": pl.Datetime("us", "UTC"),
    "regular_minor": pl.Int64(),
}
"""Columns of a difference: those of the model channels.difference, and the regular price that the listing should have, in minor units
(null where it is not known): what a promotion is measured against."""


@dataclass(frozen=True)
class GuardFact:
    """What is known of one subject of a channel. Quantities count listings; ``failed_streams``: `system.stream` of its sources.

    ``observation_read_at``: when the channel was last read whole; ``oldest_observed_at``: the oldest of its values.
    ``orders_read_at``: until when its orders are known; ``source_as_of_at``: until when what is wanted is known.
    """

    subject: str
    listings_qty: int = 0
    observed_qty: int = 0
    observation_read_at: datetime | None = None
    oldest_observed_at: datetime | None = None
    orders_read_at: datetime | None = None
    source_as_of_at: datetime | None = None
    failed_streams: tuple[str, ...] = ()


@dataclass(frozen=True)
class Difference:
    """What a channel shows against what it should: rows of :data:`COLUMNS`, and the facts of each subject."""

    channel_code: str
    system_code: str
    run_id: str
    as_of_at: datetime
    rows: pl.DataFrame
    facts: Mapping[str, GuardFact]


def difference_paths(data_dir: Path, channel_code: str) -> tuple[Path, Path]:
    """The rows and the facts of a channel."""
    folder = data_dir / FOLDER
    return folder / f"{channel_code}.parquet", folder / f"{channel_code}.json"


def write_difference(data_dir: Path, difference: Difference) -> Path:
    """Write both files, the facts last: they say that there is a new difference. Gives the facts' path."""
    rows_path, facts_path = difference_paths(data_dir, difference.channel_code)
    rows_path.parent.mkdir(parents=True, exist_ok=True)
    content = io.BytesIO()
    difference.rows.select(list(COLUMNS)).cast(pl.Schema(COLUMNS)).write_parquet(content)
    facts = {
        "channel_code": difference.channel_code,
        "system_code": difference.system_code,
        "run_id": difference.run_id,
        "as_of_at": difference.as_of_at.isoformat(),
        "rows_qty": difference.rows.height,
        # Two files cannot be renamed at once: this is how a reader knows that they belong together.
        "rows_sha256": hashlib.sha256(content.getvalue()).hexdigest(),
        "facts": [_fact_values(fact) for fact in difference.facts.values()],
    }
    _replace(rows_path, content.getvalue())
    _replace(facts_path, json.dumps(facts, indent=1, ensure_ascii=False).encode())
    return facts_path


def read_difference(data_dir: Path, channel_code: str) -> Difference:
    """The last difference of a channel.

    Raises PermanentError when none was written yet, RetryableError when one is being written just now.
    """
    rows_path, facts_path = difference_paths(data_dir, channel_code)
    try:
        facts = json.loads(facts_path.read_bytes())
        content = rows_path.read_bytes()
    except FileNotFoundError as error:
        raise PermanentError(
            f"nothing is known yet of what channel {channel_code} shows against what it should",
            where=Where(file=str(facts_path)),
            action="`etalon run` reads the systems and leaves it",
        ) from error
    if hashlib.sha256(content).hexdigest() != facts["rows_sha256"]:
        raise RetryableError(
            f"the difference of channel {channel_code} is being written",
            where=Where(file=str(rows_path)),
            action="try again",
        )
    return Difference(
        channel_code=facts["channel_code"],
        system_code=facts["system_code"],
        run_id=facts["run_id"],
        as_of_at=datetime.fromisoformat(facts["as_of_at"]),
        rows=pl.read_parquet(io.BytesIO(content)),
        facts={values["subject"]: _fact(values) for values in facts["facts"]},
    )


def guard_fact(row: Mapping[str, Any]) -> GuardFact:
    """A row of the model channels.guard_fact, as DuckDB gives it: its failed streams are one text."""
    failed = tuple(name for name in (row["failed_streams"] or "").split(", ") if name)
    values = {name: row[name] for name in GuardFact.__dataclass_fields__ if name in row}
    return GuardFact(**{**values, "failed_streams": failed})


def _fact_values(fact: GuardFact) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in asdict(fact).items()}


def _fact(values: Mapping[str, Any]) -> GuardFact:
    instants = {name: values[name] and datetime.fromisoformat(values[name]) for name in _INSTANTS}
    return GuardFact(**{**values, **instants, "failed_streams": tuple(values["failed_streams"])})


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
