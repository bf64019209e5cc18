"""The warehouse: two DuckDB files, one writer at a time, one published copy for readers.

``lock`` who may write; ``session`` the one entry, :class:`Warehouse`;
``load`` upsert and tombstones; ``build`` runs SQL models; ``checking`` runs their checks; ``publish`` the copy for analysts.
"""

from resources.warehouse.build import ModelFailed, ModelResult
from resources.warehouse.checking import CheckResult
from resources.warehouse.load import FullScope, LoadResult
from resources.warehouse.lock import LockTimeout
from resources.warehouse.publish import Published
from resources.warehouse.session import Warehouse

__all__ = [
    "CheckResult",
    "FullScope",
    "LoadResult",
    "LockTimeout",
    "ModelFailed",
    "ModelResult",
    "Published",
    "Warehouse",
]
