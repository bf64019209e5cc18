"""Personal values: tokens that join, envelopes that hide, and the table that keeps what may be read back and erased.

Two keys derive from one secret by HKDF (RFC 5869), so that who can compute tokens cannot open envelopes and the reverse.
Lose the secret and stored values are gone; change it and tokens no longer join with those of yesterday.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, overload

import polars as pl
import sqlalchemy as sa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from resources.errors import PermanentError

if TYPE_CHECKING:
    from hashlib import _Hash as Hash

PersonalKind = Literal["email", "phone", "name"]

_HEADER: Final = b"ETL\x01"  # format version 1: AES-256-GCM, 12-byte nonce, 16-byte tag
_NONCE_BYTES: Final = 12
_NO_DIGITS: Final = re.compile(r"[^0-9]+")
MINIMUM_PHONE_DIGITS: Final = 6
"""What is shorter is no phone, but a filler or an extension that would join strangers."""


def derive_key(secret_key: bytes, purpose: str) -> bytes:
    """A 32-byte key for one purpose. Keys of different purposes tell nothing about each other."""
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=f"etalon {purpose} v1".encode()).derive(secret_key)


def normalise_email(value: str) -> str | None:
    """Trimmed and case-folded; None for what is no address, since such fillers would join strangers."""
    text = value.strip().casefold()
    return text if "@" in text.strip("@") else None


def normalise_phone(value: str) -> str | None:
    """Digits with the country's calling code, without + or 00; ten digits that start with 0 are read as French.

    ``06 12 34 56 78``, ``+33 (0)6 12 34 56 78`` and ``0033612345678`` are one number. None under six digits.
    """
    if value[:1] == "+" and value[1:2] != "0" and value[1:].isdecimal() and value.isascii():
        return value[1:] if len(value) > MINIMUM_PHONE_DIGITS else None  # as most shops keep it: nothing to take out
    digits = _NO_DIGITS.sub("", value.replace("(0)", ""))
    if not value.strip().startswith("+") and digits.startswith("00"):
        digits = digits[2:]
    elif len(digits) == 10 and digits.startswith("0"):
        digits = f"33{digits[1:]}"
    return digits if len(digits) >= MINIMUM_PHONE_DIGITS else None


def normalise_name(value: str) -> str | None:
    """Compatibility-decomposed, accents off, case-folded, spaces collapsed; None when nothing is left."""
    if value.isascii():
        return " ".join(value.lower().split()) or None
    # Word by word: given names come again and again, and no accent reaches across a space.
    return " ".join([bare for word in value.split() if (bare := _bare_word(word))]) or None


@lru_cache(maxsize=4_096)
def _bare_word(word: str) -> str:
    """A word without accents, case-folded; some characters decompose to a space, so it may be several, or none."""
    if word.isascii():
        return word.lower()
    decomposed = unicodedata.normalize("NFKD", word).casefold()
    return " ".join(unicodedata.normalize("NFKD", decomposed).translate(_NO_ACCENTS).split())


class _NoAccents(dict[int, int | None]):
    """What `str.translate` makes of each character: nothing of an accent, itself of any other. Filled as characters are met."""

    def __missing__(self, character: int) -> int | None:
        kept = None if unicodedata.combining(chr(character)) else character
        self[character] = kept
        return kept


_NO_ACCENTS = _NoAccents()


class Tokeniser:
    """Keyed HMAC-SHA256 of normalised personal values: 64 hex digits, or null where there is no value.

    The same e-mail has the same token in every system; an e-mail and a name never share one.
    """

    def __init__(self, secret_key: bytes) -> None:
        self._begun = {kind: _begun(derive_key(secret_key, f"token {kind}")) for kind in _NORMALISED}

    def __repr__(self) -> str:
        return "Tokeniser(key not shown)"

    @overload
    def email(self, values: pl.Series) -> pl.Series: ...
    @overload
    def email(self, values: str | None) -> str | None: ...
    def email(self, values: pl.Series | str | None) -> pl.Series | str | None:
        """Tokens of e-mails."""
        return self._of("email", values)

    @overload
    def phone(self, values: pl.Series) -> pl.Series: ...
    @overload
    def phone(self, values: str | None) -> str | None: ...
    def phone(self, values: pl.Series | str | None) -> pl.Series | str | None:
        """Tokens of phone numbers."""
        return self._of("phone", values)

    @overload
    def name(self, values: pl.Series) -> pl.Series: ...
    @overload
    def name(self, values: str | None) -> str | None: ...
    def name(self, values: pl.Series | str | None) -> pl.Series | str | None:
        """Tokens of full names."""
        return self._of("name", values)

    def tokens(self, values: Sequence[str | None], kind: PersonalKind) -> list[str | None]:
        """Tokens of many values of one kind, in their order."""
        (inner, outer), normalise = self._begun[kind], _NORMALISED[kind]
        tokens: list[str | None] = []
        for value in values:
            normal = None if value is None else normalise(value)
            if normal is None:
                tokens.append(None)
                continue
            # HMAC spelled out (RFC 2104): both hashes go on from where the key was taken in, once and not for each value.
            within = inner.copy()
            within.update(normal.encode())
            whole = outer.copy()
            whole.update(within.digest())
            tokens.append(whole.hexdigest())
        return tokens

    def _of(self, kind: PersonalKind, values: pl.Series | str | None) -> pl.Series | str | None:
        if isinstance(values, pl.Series):
            return pl.Series(values.name, self.tokens(values.to_list(), kind), dtype=pl.String)
        return self.tokens([values], kind)[0]


_NORMALISED: Final[dict[PersonalKind, Callable[[str], str | None]]] = {
    "email": normalise_email,
    "phone": normalise_phone,
    "name": normalise_name,
}
_SHA256_BLOCK: Final = 64


def _begun(key: bytes) -> tuple[Hash, Hash]:
    """The two hashes of HMAC-SHA256, a key that is no longer than a block already in them."""
    block = key.ljust(_SHA256_BLOCK, b"\0")
    return sha256(bytes(byte ^ 0x36 for byte in block)), sha256(bytes(byte ^ 0x5C for byte in block))


class Sealer:
    """Authenticated encryption (AES-256-GCM) of bytes at rest: raw payloads with personal data, personal values.

    ``context`` is bound to the envelope and must be given again to open it: a value cannot be moved to another row.
    """

    def __init__(self, secret_key: bytes) -> None:
        self._cipher = AESGCM(derive_key(secret_key, "seal"))

    def __repr__(self) -> str:
        return "Sealer(key not shown)"

    def seal(self, data: bytes, context: bytes = b"") -> bytes:
        """An envelope: 4-byte versioned header, 12-byte random nonce, ciphertext and tag."""
        nonce = os.urandom(_NONCE_BYTES)
        return _HEADER + nonce + self._cipher.encrypt(nonce, data, _HEADER + context)

    def seal_each(self, values: Sequence[tuple[bytes, bytes]]) -> list[bytes]:
        """An envelope for each (data, context), as ``seal`` makes them; the random bytes are asked for once."""
        encrypt, drawn = self._cipher.encrypt, os.urandom(_NONCE_BYTES * len(values))
        nonces = [drawn[start : start + _NONCE_BYTES] for start in range(0, len(drawn), _NONCE_BYTES)]
        return [
            _HEADER + nonce + encrypt(nonce, data, _HEADER + context)
            for nonce, (data, context) in zip(nonces, values, strict=True)
        ]

    def open(self, sealed: bytes, context: bytes = b"") -> bytes:
        """The bytes that were sealed. Raises PermanentError for another format, another key or a changed byte."""
        if not self.is_sealed(sealed):
            raise PermanentError("these bytes are not a sealed envelope of a known version")
        nonce = sealed[len(_HEADER) : len(_HEADER) + _NONCE_BYTES]
        try:
            return self._cipher.decrypt(nonce, sealed[len(_HEADER) + _NONCE_BYTES :], _HEADER + context)
        except InvalidTag as error:
            raise PermanentError(
                "a sealed envelope does not open: it was sealed with another key, or its bytes were changed",
                action="check that ETALON_SECRET_KEY is the one the data was written with",
            ) from error

    @staticmethod
    def is_sealed(data: bytes) -> bool:
        """Whether bytes are an envelope of this format."""
        return data.startswith(_HEADER) and len(data) >= len(_HEADER) + _NONCE_BYTES + 16


@dataclass(frozen=True)
class PersonalValue:
    """A personal value behind a token; ``repr`` shows its kind only."""

    kind: str
    value: str

    def __repr__(self) -> str:
        return f"PersonalValue(kind={self.kind!r}, value not shown)"


_METADATA = sa.MetaData()
_PERSONAL_VALUE = sa.Table(
    "personal_value",
    _METADATA,
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("sealed", sa.LargeBinary, nullable=False),
    comment="Personal values, sealed. Grain: one row per token. Readable with ETALON_SECRET_KEY only.",
    sqlite_with_rowid=False,  # one tree to keep, by token, and not two
)
_CHUNK = 5_000
_CACHE_KIB = 8_192
"""Of SQLite's pages: tokens fall anywhere in the store, so with less it writes the same pages again and again."""


class PiiStore:
    """Where personal values stay, apart from everything that analysts read. Grain: one row per token."""

    def __init__(
        self, target: Path | sa.Engine, sealer: Sealer, *, on_read: Callable[[PersonalKind], None] | None = None
    ) -> None:
        """``target``: a SQLite file, created with its folder when missing, or an engine (SQLite or Postgres).

        ``on_read`` is told of each value that is opened, by its kind, before it is given: who reads persons leaves a trace.
        """
        self._on_read = on_read
        if isinstance(target, Path):
            target.parent.mkdir(parents=True, exist_ok=True)
            target = sa.create_engine(f"sqlite:///{target}")
        if target.dialect.name == "sqlite":
            sa.event.listen(target, "connect", _prepare_sqlite)
        self._engine, self._sealer = target, sealer
        with self._engine.begin() as connection:
            # Several workers may open a new store at once.
            connection.execute(sa.schema.CreateTable(_PERSONAL_VALUE, if_not_exists=True))

    def put(self, rows: Iterable[tuple[str, str, str]]) -> int:
        """Keep (token, kind, value) rows; a token that is there already is left as it is. Returns how many were new."""
        by_token = {row[0]: row for row in rows}
        tokens = sorted(by_token)  # neighbours in the store's tree are written together
        added = 0
        with self._engine.begin() as connection:
            for start in range(0, len(tokens), _CHUNK):
                chunk = tokens[start : start + _CHUNK]
                if self._engine.dialect.name != "sqlite":
                    # What is known is not sent again: the way there is long. SQLite finds out sooner by trying.
                    known = self._known(connection, chunk)
                    chunk = [token for token in chunk if token not in known]
                if chunk:
                    kept = [by_token[token] for token in chunk]
                    sealed = self._sealer.seal_each([(value.encode(), token.encode()) for token, _, value in kept])
                    records = list(zip(chunk, [kind for _, kind, _ in kept], sealed, strict=True))
                    added += self._insert_or_ignore(connection, records)
        return added

    def get(self, token: str) -> PersonalValue | None:
        """The value behind a token; None when it was never kept or was erased."""
        query = sa.select(_PERSONAL_VALUE.c.kind, _PERSONAL_VALUE.c.sealed).where(_PERSONAL_VALUE.c.token == token)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            return None
        if self._on_read is not None:
            self._on_read(row.kind)
        return PersonalValue(row.kind, self._sealer.open(row.sealed, token.encode()).decode())

    def erase(self, token: str) -> bool:
        """Forget the value behind a token (GDPR, article 17); whether there was one.

        Tokens in the warehouse stay and can no longer be read back. Erase at the source first: a later reading of a
        value that is still there keeps it again.
        """
        with self._engine.begin() as connection:
            result = connection.execute(sa.delete(_PERSONAL_VALUE).where(_PERSONAL_VALUE.c.token == token))
        return result.rowcount > 0

    def erase_all(self, tokens: Iterable[str]) -> int:
        """Forget the values behind tokens, and what SQLite's write-ahead log still shows of them; how many there were."""
        erased = sum(self.erase(token) for token in sorted(tokens))
        if self._engine.dialect.name == "sqlite":
            with self._engine.connect() as connection:
                connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        return erased

    def _known(self, connection: sa.Connection, tokens: Sequence[str]) -> set[str]:
        query = sa.select(_PERSONAL_VALUE.c.token).where(_PERSONAL_VALUE.c.token.in_(tokens))
        return set(connection.scalars(query))

    def _insert_or_ignore(self, connection: sa.Connection, records: list[tuple[str, str, bytes]]) -> int:
        """Keep what no other worker has put meanwhile; how many that were."""
        if self._engine.dialect.name == "sqlite":
            # In the driver's own words: SQLAlchemy takes longer over thousands of parameters than SQLite over the rows.
            done = connection.exec_driver_sql(
                "INSERT INTO personal_value (token, kind, sealed) VALUES (?, ?, ?) ON CONFLICT DO NOTHING", records
            )
            return done.rowcount
        # Here, since few need it: it brings every driver of Postgres that there is.
        from sqlalchemy.dialects import postgresql

        rows = [{"token": token, "kind": kind, "sealed": sealed} for token, kind, sealed in records]
        connection.execute(postgresql.insert(_PERSONAL_VALUE).on_conflict_do_nothing(), rows)
        return len(rows)


def _prepare_sqlite(connection: sa.engine.interfaces.DBAPIConnection, _record: object) -> None:
    cursor = connection.cursor()
    # A second writer waits rather than fails; erased bytes are overwritten in the file.
    cursor.execute("PRAGMA busy_timeout = 30000")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA secure_delete = ON")
    cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    cursor.close()
