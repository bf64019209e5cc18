"""Files of the landing: raw payloads as received, and canonical frames as parquet. What they mean is noted in operations.

Layout under the data folder::

    landing/<system>/<stream>/<extract_id>/<name>.zst        as received, zstd; `.zst.sealed` when personal
    canonical/<entity>/<system>.<stream>.<extract_id>.<n>.parquet

The id of an extract that read one period ends in it (`…-p20260101-20260201`), so what was landed of a period is found by name.

A canonical file appears under its name only when it is whole. It is offered for loading only once its manifest is written.
"""

from __future__ import annotations

import fcntl
import io
import os
import re
import shutil
import struct
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import polars as pl
import zstandard

from resources.errors import PermanentError, RetryableError, Where
from resources.operations import CanonicalFile

RAW_LEVEL = 1
"""zstd level of raw files: level 3 costs twice the CPU for some 10 % less disk on feeds and JSON pages."""
CANONICAL_LEVEL = 1
_LENGTH = struct.Struct("<I")
_PLAIN, _SEALED = ".zst", ".zst.sealed"


class Seals(Protocol):
    """What the landing asks of `resources.privacy.Sealer`."""

    def seal(self, data: bytes) -> bytes:
        """Encrypt."""
        ...

    def open(self, sealed: bytes) -> bytes:
        """Decrypt."""
        ...


@dataclass(frozen=True)
class RawFile:
    """One raw file and the stream it was received from."""

    path: Path
    system_code: str
    stream: str


class ExtractLanding:
    """Where one extract writes. Files of an extract that is never finished are thrown away by `Landing.discard`."""

    def __init__(self, landing: Landing, system_code: str, stream: str, extract_id: str, *, is_personal: bool) -> None:
        self._landing = landing
        self._prefix = f"{system_code}.{stream}.{extract_id}"
        self._raw_dir = landing.raw_dir(system_code, stream, extract_id)
        self._is_personal = is_personal
        self._number = 0
        self._has_raw_dir = False
        self._compressor = zstandard.ZstdCompressor(level=RAW_LEVEL)

    def write_raw(self, name: str, data: bytes) -> None:
        """Append bytes to the raw file ``name``: the chunks of one file come in order."""
        if not self._has_raw_dir:
            self._raw_dir.mkdir(parents=True, exist_ok=True)
            self._has_raw_dir = True
        packed = self._compressor.compress(data)
        path = self._landing.raw_path(self._raw_dir, name, is_sealed=self._is_personal)
        if self._is_personal:
            sealed = self._landing.sealer.seal(packed)
            packed = _LENGTH.pack(len(sealed)) + sealed
        with path.open("ab") as file:
            file.write(packed)

    def write_canonical(self, entity: str, frame: pl.DataFrame) -> CanonicalFile:
        """Write a frame as the next canonical file of the extract, renamed into place when it is whole."""
        self._number += 1
        folder = self._landing.canonical_dir / entity
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{self._prefix}.{self._number:05d}.parquet"
        temporary = path.with_suffix(".tmp")
        frame.write_parquet(temporary, compression="zstd", compression_level=CANONICAL_LEVEL)
        os.replace(temporary, path)
        return CanonicalFile(entity, self._number, str(path.relative_to(self._landing.data_dir)), frame.height)


class Landing:
    """The landing of one data folder. ``sealer`` is needed only for streams with personal data."""

    def __init__(self, data_dir: Path, sealer: Seals | None = None) -> None:
        self.data_dir = data_dir
        self.canonical_dir = data_dir / "canonical"
        self._landing_dir = data_dir / "landing"
        self._sealer = sealer

    @property
    def sealer(self) -> Seals:
        """The sealer. Raises PermanentError when there is none: personal data is never written in the clear."""
        if self._sealer is None:
            raise PermanentError(
                "personal data cannot be landed without a secret key", action="set ETALON_SECRET_KEY and run again"
            )
        return self._sealer

    def raw_dir(self, system_code: str, stream: str, extract_id: str) -> Path:
        """Folder of the raw files of one extract."""
        return self._landing_dir / system_code / stream / extract_id

    @staticmethod
    def raw_path(folder: Path, name: str, *, is_sealed: bool) -> Path:
        """Path of a raw file. A name cannot lead out of its folder."""
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".") or "_"
        return folder / f"{safe}{_SEALED if is_sealed else _PLAIN}"

    def extract(self, system_code: str, stream: str, extract_id: str, *, is_personal: bool) -> ExtractLanding:
        """Where a new extract writes."""
        return ExtractLanding(self, system_code, stream, extract_id, is_personal=is_personal)

    def read_raw(self, system_code: str, stream: str, extract_id: str, name: str) -> bytes:
        """The bytes of a raw file as they were received."""
        folder = self.raw_dir(system_code, stream, extract_id)
        sealed_path = self.raw_path(folder, name, is_sealed=True)
        return self.read_file(sealed_path if sealed_path.exists() else self.raw_path(folder, name, is_sealed=False))

    def raw_files(self) -> Iterator[RawFile]:
        """Every raw file there is, by path."""
        for path in sorted(self._landing_dir.glob("*/*/*/*.zst*")):
            if path.name.endswith((_PLAIN, _SEALED)):
                system_code, stream = path.relative_to(self._landing_dir).parts[:2]
                yield RawFile(path, system_code, stream)

    def read_file(self, path: Path) -> bytes:
        """The bytes of a raw file, by its path."""
        blob = path.read_bytes()
        if not path.name.endswith(_SEALED):
            return _unpack(blob)
        chunks, at = [], 0
        while at < len(blob):
            (length,) = _LENGTH.unpack_from(blob, at)
            at += _LENGTH.size
            chunks.append(_unpack(self.sealer.open(blob[at : at + length])))
            at += length
        return b"".join(chunks)

    def replace_file(self, path: Path, data: bytes) -> None:
        """Put other bytes in the place of a raw file, in one step, sealed when it was."""
        packed = zstandard.ZstdCompressor(level=RAW_LEVEL).compress(data)
        if path.name.endswith(_SEALED):
            sealed = self.sealer.seal(packed)
            packed = _LENGTH.pack(len(sealed)) + sealed
        temporary = path.with_name(f"{path.name}.tmp")
        temporary.write_bytes(packed)
        os.replace(temporary, path)

    def discard(self, system_code: str, stream: str, extract_ids: Sequence[str]) -> None:
        """Remove everything that extracts which never finished left behind."""
        for extract_id in extract_ids:
            shutil.rmtree(self.raw_dir(system_code, stream, extract_id), ignore_errors=True)
            self._period_mark(system_code, extract_id).unlink(missing_ok=True)
            for path in self.canonical_dir.glob(f"*/{system_code}.{stream}.{extract_id}.*"):
                path.unlink(missing_ok=True)

    def discard_canonical(self, files: Sequence[CanonicalFile]) -> None:
        """Remove canonical files that will not be loaded; their raw payloads stay."""
        for file in files:
            (self.data_dir / file.path).unlink(missing_ok=True)

    def raw_bytes(self, system_code: str, stream: str, extract_id: str) -> int | None:
        """Bytes that the raw files of one extract take on disk; None when there are none."""
        folder = self.raw_dir(system_code, stream, extract_id)
        return sum(path.stat().st_size for path in folder.iterdir()) if folder.is_dir() else None

    def canonical_bytes(self, files: Sequence[CanonicalFile]) -> int:
        """Bytes that canonical files take on disk; those that are gone take none."""
        paths = [self.data_dir / file.path for file in files]
        return sum(path.stat().st_size for path in paths if path.is_file())

    def discard_raw(self, system_code: str, stream: str, extract_id: str) -> None:
        """Remove the raw files of one extract."""
        folder = self.raw_dir(system_code, stream, extract_id)
        if folder.is_dir():
            shutil.rmtree(folder)

    @contextmanager
    def reading_lock(self, system_code: str, stream: str) -> Iterator[None]:
        """One reader of a stream at a time on this machine; freed by the system when the process dies.

        Raises RetryableError when another reader is at it.
        """
        with self._locked(system_code, stream, fcntl.LOCK_EX):
            yield

    @contextmanager
    def _locked(self, system_code: str, stream: str, kind: int) -> Iterator[None]:
        folder = self._landing_dir / system_code
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / f"{stream}.lock").open("w") as file:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise RetryableError(
                    "another process is reading this stream",
                    where=Where(system_code=system_code, stream=stream),
                    action="wait until it is done",
                ) from error
            yield

    @contextmanager
    def period_lock(self, system_code: str, stream: str, extract_id: str, *, is_beside: bool) -> Iterator[None]:
        """Held by the reading of one period of a stream; other periods are read at the same time, and that the same period is not is
        for the operations store to see (`begin_extract`). ``is_beside``: a reading of the whole stream goes on beside it.

        Raises RetryableError when a reading that it cannot go beside is at it.
        """
        with self._locked(system_code, f"{stream}.period" if is_beside else stream, fcntl.LOCK_SH):
            path = self._period_mark(system_code, extract_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                try:
                    yield
                finally:
                    path.unlink(missing_ok=True)

    def is_being_read(self, system_code: str, extract_id: str) -> bool:
        """Whether the process that reads a period under this extract lives. The system frees its lock when it dies."""
        try:
            with self._period_mark(system_code, extract_id).open("r+") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def _period_mark(self, system_code: str, extract_id: str) -> Path:
        return self._landing_dir / system_code / "periods" / f"{extract_id}.mark"

    @contextmanager
    def without_readers(self, *, wait_s: float = 120.0) -> Iterator[None]:
        """No stream that was ever read is being read meanwhile. Raises RetryableError when one still is after ``wait_s`` seconds."""
        deadline = time.monotonic() + wait_s
        with ExitStack() as stack:
            for path in sorted(self._landing_dir.glob("*/*.lock")):
                while True:
                    try:
                        stack.enter_context(self.reading_lock(path.parent.name, path.name.removesuffix(".lock")))
                        break
                    except RetryableError:
                        if time.monotonic() >= deadline:
                            raise
                        time.sleep(0.05)
            yield


def _unpack(data: bytes) -> bytes:
    # Appended chunks are zstd frames one after the other.
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(data), read_across_frames=True) as reader:
        return reader.read()
