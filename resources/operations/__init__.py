"""The operations store: cursors, manifests, quarantine, file receipts and the exchange journal, in SQLite or PostgreSQL.

Tables are in `tables`, the connection in `engine`, what is kept about one extract in `records`, the store in `store`.
"""

from resources.operations.records import (
    KEY_SEPARATOR,
    CanonicalFile,
    EndedExtract,
    ExchangeEntry,
    FileReceipt,
    LoadableExtract,
    Manifest,
    Outcome,
    QuarantinedRow,
    key_text,
)
from resources.operations.store import Operations

__all__ = [
    "KEY_SEPARATOR",
    "CanonicalFile",
    "EndedExtract",
    "ExchangeEntry",
    "FileReceipt",
    "LoadableExtract",
    "Manifest",
    "Operations",
    "Outcome",
    "QuarantinedRow",
    "key_text",
]
