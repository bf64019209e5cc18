"""The folder that a system takes files from: a file appears there whole, and its marker after it."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

from resources.errors import PermanentError, RetryableError, Where
from resources.operations.order_messages import OrderFile

MARKER = ".done"


class OutFolder:
    """One system's folder. The system must not touch a file before its `.done` marker is there: what is sent once depends on it."""

    def __init__(self, system_code: str, folder: Path) -> None:
        self.system_code = system_code
        self.folder = folder

    def check(self) -> None:
        """Raise PermanentError when the folder is not there: a share that is not mounted must not fill the disk below it."""
        if not self.folder.is_dir():
            raise PermanentError(
                f"the folder {self.folder} is not there",
                where=Where(system_code=self.system_code, file=str(self.folder)),
                action="create or mount it, or correct `out_folder` in retailer.yaml",
            )

    def put(self, file: OrderFile) -> int:
        """The file under its name, whole and on disk; gives its size. Nothing is done when it is there already.

        Raises PermanentError when another content has its name, RetryableError when the disk does not take it.
        """
        if file.content is None:
            raise PermanentError(f"the content of {file.name} is gone", where=self._where(file))
        target = self.folder / file.name
        if target.exists():
            if hashlib.sha256(target.read_bytes()).hexdigest() != file.sha256:
                raise PermanentError(
                    "a file of this name with another content is there",
                    where=self._where(file),
                    action="find out who wrote it, take it away and run the transmission again",
                )
            return len(file.content)
        self._write(target, file.content, file)
        return len(file.content)

    def is_there(self, file: OrderFile) -> bool:
        """Whether the file is in the folder."""
        return (self.folder / file.name).exists()

    def announce(self, file: OrderFile) -> None:
        """Write the marker of a file that is there: orders, checksum."""
        marker = {"rows": file.orders_qty, "sha256": file.sha256}
        self._write(self.folder / f"{file.name}{MARKER}", (json.dumps(marker) + "\n").encode(), file)

    def _write(self, target: Path, data: bytes, file: OrderFile) -> None:
        temporary = target.with_name(f".{target.name}.part")
        try:
            with temporary.open("wb") as out:
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(target)
            directory = os.open(self.folder, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
        except OSError as error:
            raise RetryableError(
                f"it could not be written: {error.strerror or error}",
                where=self._where(file),
                action="make room or give the right to write there; the next transmission goes on with this file",
            ) from error

    def _where(self, file: OrderFile) -> Where:
        return Where(system_code=self.system_code, stream=file.message, file=file.name)
