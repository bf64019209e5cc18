"""What a backup holds, file by file, with what proves that each is whole. Nothing is copied here."""

from __future__ import annotations

import hashlib
import hmac
import json
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from resources.errors import PermanentError, Where

INVENTORY = "backup.json"
FORMAT = 1
_CHUNK = 1 << 20


@dataclass(frozen=True)
class StoredFile:
    """One file of a backup: its path in it, its size in bytes and its SHA-256."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class Inventory:
    """A backup's own description.

    ``databases``: those dumped from PostgreSQL, by what they hold (`instance`, `operations`). ``key_print`` tells whether a
    secret key is the one that personal values were sealed with; the key itself is in no backup.
    """

    taken_at: datetime
    release: str
    key_print: str
    databases: tuple[str, ...]
    files: tuple[StoredFile, ...]


def key_print(secret_key: bytes) -> str:
    """A text by which a key is recognised and from which it cannot be had."""
    return hmac.digest(secret_key, b"etalon backup key print v1", "sha256").hex()[:32]


def list_files(folder: Path) -> tuple[StoredFile, ...]:
    """Every file under ``folder``, by path."""
    return tuple(
        StoredFile(path.relative_to(folder).as_posix(), path.stat().st_size, _sha256(path))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != INVENTORY
    )


def write_inventory(folder: Path, inventory: Inventory) -> None:
    """Write it beside the files it describes."""
    told = {"format": FORMAT, **asdict(inventory), "taken_at": inventory.taken_at.isoformat()}
    (folder / INVENTORY).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


def read_inventory(folder: Path) -> Inventory:
    """Read a backup's description. Raises PermanentError for a folder that is none, or one of a later release's format."""
    where = Where(file=str(folder / INVENTORY))
    try:
        told = json.loads((folder / INVENTORY).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise PermanentError(
            "this folder is no backup, or one that was never finished", where=where, action="name another folder"
        ) from error
    except (ValueError, UnicodeDecodeError) as error:
        raise PermanentError(
            "the list of the backup's files cannot be read", where=where, action="use another backup"
        ) from error
    if told.get("format") != FORMAT:
        raise PermanentError(
            f"this backup has format {told.get('format')}, this release reads {FORMAT}",
            where=where,
            action=f"restore it with the release that took it ({told.get('release', 'unknown')})",
        )
    return Inventory(
        taken_at=datetime.fromisoformat(told["taken_at"]),
        release=told["release"],
        key_print=told["key_print"],
        databases=tuple(told["databases"]),
        files=tuple(StoredFile(**file) for file in told["files"]),
    )


def verify(folder: Path, inventory: Inventory) -> None:
    """Read every file of a backup once more. Raises PermanentError that names all that are missing or changed."""
    wrong = []
    for file in inventory.files:
        path = folder / file.path
        if not path.is_file():
            wrong.append(f"{file.path} is missing")
        elif path.stat().st_size != file.size_bytes or _sha256(path) != file.sha256:
            wrong.append(f"{file.path} was changed")
    if wrong:
        shown = "; ".join(wrong[:5]) + (f"; and {len(wrong) - 5} more" if len(wrong) > 5 else "")
        raise PermanentError(
            f"the backup is not whole: {shown}",
            where=Where(file=str(folder)),
            action="use another backup; nothing was restored",
        )


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
