"""Envelopes open with their key and their context only; the store of personal values keeps, gives back and forgets."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
import sqlalchemy as sa

from resources.errors import PermanentError
from resources.privacy import PiiStore, Sealer
from resources.settings import sqlalchemy_postgres_url

TOKEN = "ab" * 32


def test_what_is_sealed_opens_again(sealer: Sealer) -> None:
    sealed = sealer.seal(b"zoe@example.com")
    assert b"zoe" not in sealed
    assert sealer.is_sealed(sealed)
    assert sealer.open(sealed) == b"zoe@example.com"
    assert sealer.seal(b"zoe@example.com") != sealed


@pytest.mark.parametrize("position", [4, 20, -1])
def test_a_changed_byte_is_noticed(sealer: Sealer, position: int) -> None:
    sealed = bytearray(sealer.seal(b"value"))
    sealed[position] ^= 1
    with pytest.raises(PermanentError, match="does not open"):
        sealer.open(bytes(sealed))


def test_each_of_many_opens_with_its_own_context_only(sealer: Sealer) -> None:
    given = [(f"value {number}".encode(), f"row {number}".encode()) for number in range(3)]
    sealed = sealer.seal_each(given)
    assert [sealer.open(one, context) for one, (_, context) in zip(sealed, given, strict=True)] == [v for v, _ in given]
    assert len({one[4:16] for one in sealed}) == 3
    with pytest.raises(PermanentError, match="does not open"):
        sealer.open(sealed[0], b"row 1")


def test_another_key_or_context_does_not_open(sealer: Sealer) -> None:
    sealed = sealer.seal(b"value", b"row 1")
    with pytest.raises(PermanentError, match="does not open"):
        sealer.open(sealed, b"row 2")
    with pytest.raises(PermanentError, match="ETALON_SECRET_KEY"):
        Sealer(b"another secret of the same length").open(sealed, b"row 1")


@pytest.mark.parametrize("data", [b"", b"plain", b"ETL\x02" + bytes(40)])
def test_what_is_no_envelope_is_told(sealer: Sealer, data: bytes) -> None:
    with pytest.raises(PermanentError, match="not a sealed envelope"):
        sealer.open(data)


def test_the_store_keeps_gives_back_and_forgets(tmp_path: Path, sealer: Sealer) -> None:
    store = PiiStore(tmp_path / "new" / "pii.sqlite", sealer)
    assert store.put([(TOKEN, "email", "zoe@example.com"), (TOKEN, "email", "zoe@example.com")]) == 1
    assert store.put([(TOKEN, "email", "zoe@example.com")]) == 0
    found = store.get(TOKEN)
    assert found is not None
    assert (found.kind, found.value) == ("email", "zoe@example.com")
    assert "zoe" not in repr(found)
    assert store.erase(TOKEN)
    assert store.get(TOKEN) is None
    assert not store.erase(TOKEN)


def test_nothing_readable_reaches_the_disk(tmp_path: Path, sealer: Sealer) -> None:
    store = PiiStore(tmp_path / "pii.sqlite", sealer)
    store.put([(TOKEN, "email", "zoe@example.com")])
    assert not any(b"zoe@" in file.read_bytes() for file in tmp_path.iterdir())


def test_many_values_go_in_one_call(tmp_path: Path, sealer: Sealer) -> None:
    store = PiiStore(tmp_path / "pii.sqlite", sealer)
    rows = [(f"{number:064x}", "phone", str(number)) for number in range(12_000)]
    assert store.put(iter(rows)) == 12_000
    assert store.put(rows[:100]) == 0


def test_several_workers_put_the_same_values(tmp_path: Path, sealer: Sealer) -> None:
    path = tmp_path / "pii.sqlite"
    rows = [(f"{number:064x}", "email", f"{number}@example.com") for number in range(500)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: PiiStore(path, sealer).put(rows), range(4)))
    found = PiiStore(path, sealer).get(rows[-1][0])
    assert found is not None
    assert found.value == "499@example.com"


def test_what_is_erased_leaves_the_file(tmp_path: Path, sealer: Sealer) -> None:
    path = tmp_path / "pii.sqlite"
    store = PiiStore(path, sealer)
    store.put([(TOKEN, "email", "zoe@example.com")])
    assert TOKEN.encode() in _all_bytes(tmp_path)
    store.erase(TOKEN)
    with sa.create_engine(f"sqlite:///{path}").connect() as connection:
        connection.execute(sa.text("PRAGMA wal_checkpoint(TRUNCATE)"))
    assert TOKEN.encode() not in _all_bytes(tmp_path)


def test_of_many_values_only_the_erased_leave_the_file(tmp_path: Path, sealer: Sealer) -> None:
    store = PiiStore(tmp_path / "pii.sqlite", sealer)
    tokens = [sha256(str(number).encode()).hexdigest() for number in range(4_000)]
    for start in range(0, 4_000, 500):  # the tree grows between its leaves, as it does run by run
        store.put((token, "email", f"{token}@example.com") for token in tokens[start : start + 500])
    erased, kept = tokens[::20], tokens[1::20]
    assert store.erase_all(erased) == 200
    left = _all_bytes(tmp_path)
    assert not [token for token in erased if token.encode() in left]
    assert all(store.get(token) is not None for token in kept)


def _all_bytes(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir())


@pytest.mark.postgres
def test_the_store_on_postgres(postgres_url: str, sealer: Sealer) -> None:
    engine = sa.create_engine(sqlalchemy_postgres_url(postgres_url))
    store = PiiStore(engine, sealer)
    assert store.put([(TOKEN, "name", "Zoé")]) == 1
    assert store.put([(TOKEN, "name", "Zoé")]) == 0
    found = store.get(TOKEN)
    assert found is not None
    assert found.value == "Zoé"
    assert store.erase(TOKEN)
    engine.dispose()
