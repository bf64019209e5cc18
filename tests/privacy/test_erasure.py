"""Given a person whom every system knows, expect an erasure to leave no value and no token of theirs, and everybody else's as they were."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import duckdb
import polars as pl
import pytest
import zstandard

from assets.runtime import Runtime
from resources.erasure import Erasure, Person, erase, erasing, find_person, find_traces
from resources.erasure.payloads import without
from resources.errors import PermanentError, RetryableError
from resources.landing import Landing
from resources.privacy import PiiStore, Sealer, Tokeniser
from resources.warehouse import Warehouse
from resources.warehouse.changes import is_followed, open_book
from tests.conftest import SECRET_KEY
from tests.privacy.canaries import EMAIL, Ran

pytestmark = pytest.mark.xdist_group("canaries")


@pytest.fixture
def own(ran: Ran, tmp_path: Path) -> Iterator[Runtime]:
    """The run's retailer with a data folder of the test's own."""
    data_dir = tmp_path / "data"
    shutil.copytree(ran.data_dir, data_dir)
    settings = replace(
        ran.runtime.settings, data_dir=data_dir, operations_url=f"sqlite:///{data_dir / 'operations.sqlite'}"
    )
    runtime = Runtime(settings, ran.runtime.retailer, ran.runtime.project, ran.runtime.connectors)
    with ExitStack() as stack:
        stack.callback(runtime.operations.close)
        yield runtime


def find(runtime: Runtime, who: str) -> Person:
    with runtime.writer("test") as con:
        return find_person(who, con=con, tokeniser=Tokeniser(SECRET_KEY), values=runtime.personal)


def erased(runtime: Runtime, person: Person, values: PiiStore | None = None) -> Erasure:
    return erase(
        person,
        erasure_id="erasure-1",
        warehouse=runtime.warehouse,
        operations=runtime.operations,
        landing=runtime.landing,
        values=values or runtime.personal,
        kpi_tables=(),
        now=runtime.settings.clock()(),
    )


def places(runtime: Runtime, person: Person) -> set[str]:
    """Where anything of the person stands, by the first part of its path."""
    needles = dict.fromkeys(person.emails | person.phones | person.said | person.tokens, "theirs")
    traces = find_traces(runtime.settings.data_dir, needles, sealer=runtime.sealer)
    return {trace.place.split("/")[0] for trace in traces}


def buyer(runtime: Runtime, system: str) -> str:
    """The e-mail of a registered customer of a system who bought something there."""
    with runtime.writer("test") as con:
        found = con.execute(
            """select customers.email_token from canonical.customer as customers
            inner join canonical."order" as orders using (system_code, customer_external_id)
            where customers.system_code = ? and customers.phone_token is not null order by 1 limit 1""",
            [system],
        ).fetchone()
    assert found is not None
    value = runtime.personal.get(found[0])
    assert value is not None
    return value.value


def sales(runtime: Runtime) -> tuple[tuple[Any, ...], set[tuple[str, str]]]:
    """Number and sum of the orders, and those of which nobody can tell who bought."""
    with runtime.writer("test") as con:
        (total,) = con.sql('select count(*), sum(total_minor) from canonical."order" where not _is_deleted').fetchall()
        anonymous = con.sql(
            'select system_code, order_external_id from canonical."order" where email_token is null'
        ).fetchall()
    return total, {(system, number) for system, number in anonymous}


def raw_rows(runtime: Runtime) -> dict[tuple[str, str, str], Any]:
    """(system, stream, file) -> rows of each received JSON page of customers and orders."""
    rows: dict[tuple[str, str, str], Any] = {}
    for raw in runtime.landing.raw_files():
        if raw.stream in ("customers", "orders"):
            document = json.loads(runtime.landing.read_file(raw.path))
            listed = next(iter(document.values())) if isinstance(document, dict) else document
            rows[raw.system_code, raw.stream, raw.path.name] = listed
    return rows


def is_numbered(row: Any, page: tuple[str, str, str], person: Person) -> bool:
    """Whether a row of a page is of one of the person's customer or order numbers."""
    system, stream, name = page
    customers, orders = (
        {number for of, number in known if of == system} for known in (person.customers, person.orders)
    )
    own = {"customers": customers, "orders": orders}[stream] if name.startswith(f"{stream}_page") else set()
    return (
        str(row.get("id")) in own
        or str(row.get("id_customer", row.get("customer_id"))) in customers
        or str(row.get("id_order", row.get("parent_id"))) in orders
    )


@pytest.mark.parametrize("system", ["shop_fr", "shop_be"])
def test_nothing_is_left_of_a_buyer_and_all_of_the_others(own: Runtime, system: str) -> None:
    email = buyer(own, system)
    person = find(own, email)
    assert places(own, person) >= {"landing", "canonical", "pii.sqlite", "warehouse.duckdb"}
    before, (sold, anonymous) = raw_rows(own), sales(own)

    done = erased(own, person)

    assert places(own, person) == set()
    assert sales(own) == (sold, anonymous | person.orders), (
        "orders stay, and what they came to, and nobody can tell who bought"
    )
    assert person.orders
    assert all(own.personal.get(token) is None for token in person.tokens)
    after = raw_rows(own)
    assert after.keys() == before.keys()
    changed = 0
    for page, rows in before.items():
        assert len(after[page]) == len(rows)
        for old, new in zip(rows, after[page], strict=True):
            if new != old:
                changed += 1
                assert set(new) <= {"id", "erased"}
                assert new["erased"] == "erasure-1"
                assert email in json.dumps(old).lower() or is_numbered(old, page, person)
    assert changed == done.removed["rows of received payloads"] > 1
    with pytest.raises(PermanentError, match="nobody is known"):
        find(own, email)


def test_a_customer_is_found_by_number_as_by_e_mail(ran: Ran) -> None:
    by_email = find(ran.runtime, buyer(ran.runtime, "shop_fr"))
    system, number = min(by_email.customers)
    assert find(ran.runtime, f"{system}:{number}") == by_email


def test_a_refused_row_of_theirs_is_emptied_and_stays_listed(own: Runtime) -> None:
    refused = next(
        row
        for row in own.operations.quarantined(system_code="marketplace", stream="marketplace_orders")
        if EMAIL.encode() in own.landing.sealer.open(row.raw)
    )
    line = own.landing.sealer.open(refused.raw).decode("latin-1")
    email = next(cell for cell in line.split(",") if cell.startswith(EMAIL) and "slipped" not in cell)
    person = find(own, email)

    done = erased(own, person)

    assert done.removed["quarantined rows"] >= 1
    (emptied,) = own.operations.quarantined(quarantine_ids=[refused.quarantine_id])
    assert (emptied.status, emptied.raw, emptied.context) == ("erased", b"erased erasure-1", "")
    assert places(own, person) == set()


class StopsHalfWay(PiiStore):
    """The machine stops when personal values are about to go."""

    def erase_all(self, tokens: Iterable[str]) -> int:
        raise KeyboardInterrupt(len(list(tokens)))


def test_an_erasure_that_was_stopped_is_finished_by_asking_again(own: Runtime) -> None:
    email = buyer(own, "shop_fr")
    person = find(own, email)
    with pytest.raises(KeyboardInterrupt):
        erased(own, person, StopsHalfWay(own.settings.pii_path, own.sealer))
    assert {place.removesuffix("-wal") for place in places(own, person)} == {"pii.sqlite"}

    erased(own, find(own, email))

    assert "theirs" not in places(own, person)
    assert own.personal.get(Tokeniser(SECRET_KEY).email(email) or "") is None


def test_one_stopped_while_it_changes_tables_leaves_no_log_that_a_run_could_go_by(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows changed by then of which no log tells: the next run must build everything whole."""
    warehouse = Warehouse(tmp_path)
    with warehouse.writer() as con:
        open_book(con)
    monkeypatch.setattr(erasing, "_from_tables", Mock(side_effect=KeyboardInterrupt))
    operations = Mock()
    operations.quarantined.return_value = []
    nobody: frozenset[Any] = frozenset()
    with pytest.raises(KeyboardInterrupt):
        erase(
            Person(frozenset({"token"}), nobody, nobody, nobody, nobody, nobody, nobody, nobody),
            erasure_id="erasure-1",
            warehouse=warehouse,
            operations=operations,
            landing=Landing(tmp_path),
            values=Mock(),
            kpi_tables=(),
            now=datetime(2026, 5, 18, tzinfo=UTC),
        )
    with warehouse.writer() as con:
        assert not is_followed(con)


@pytest.mark.parametrize("who", ["nobody@example.com", "shop_fr:0", "no person", "shop_fr:"])
def test_whoever_is_not_known_is_told_so(ran: Ran, who: str) -> None:
    with pytest.raises(PermanentError):
        find(ran.runtime, who)


def test_nothing_is_erased_while_something_is_read(tmp_path: Path) -> None:
    """A reading that is under way lands what it received before the erasure."""
    landing = Landing(tmp_path)
    for name in ("orders", "orders.hint"):
        with (
            landing.reading_lock("shop_fr", name),
            pytest.raises(RetryableError, match="another process is reading"),
            landing.without_readers(wait_s=0),
        ):
            pass
    with landing.without_readers(wait_s=0), pytest.raises(RetryableError), landing.reading_lock("shop_fr", "orders"):
        pass
    with landing.reading_lock("shop_fr", "orders"):
        pass


def test_the_proof_sees_what_is_left_in_each_kind_of_place(tmp_path: Path, sealer: Sealer) -> None:
    """Given an e-mail in a sealed file, a packed one, a table, a parquet file and a log, expect all five to be told."""
    email, landing = "jeanne.dupont@example.com", Landing(tmp_path, sealer)
    for name, text in (("a", f"left: {email.upper()}"), ("b", "somebody@example.com")):
        landing.extract("shop", name, "1", is_personal=True).write_raw("page.json", text.encode())
    (tmp_path / "kept.zst").write_bytes(zstandard.ZstdCompressor().compress(email.encode()))
    (tmp_path / "log.txt").write_text(f"x {email} y")
    (tmp_path / "other.txt").write_text("nobody")
    pl.DataFrame({"x": [email]}).write_parquet(tmp_path / "a.parquet")
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as con:
        con.execute("create table left_over as select ? || ' ' || i as x from range(5) r(i)", [email])
    traces = find_traces(tmp_path, {email: "theirs"}, sealer=sealer)
    assert {trace.place for trace in traces} == {
        "landing/shop/a/1/page.json.zst.sealed",
        "kept.zst",
        "log.txt",
        "warehouse.duckdb",
        "a.parquet",
    }


@pytest.mark.parametrize(
    ("text", "expected", "rows"),
    [
        ('[{"id": 7, "email": "A@X.fr"}, {"id": 8}]', '[{"id": 7, "erased": "e"}, {"id": 8}]', 1),
        ('{"orders": [{"id": 3, "id_customer": "12"}]}', '{"orders": [{"id": 3, "erased": "e"}]}', 1),
        ('{"countries": [{"id": 12, "name": "FR"}]}', '{"countries": [{"id": 12, "name": "FR"}]}', 0),
        ('{"id": 5, "billing": {"email": "a@x.fr"}}', '{"id": 5, "erased": "e"}', 1),
        ('[{"id": 1, "phone": "+33 6 12 34 56 78"}]', '[{"id": 1, "erased": "e"}]', 1),
        ('[{"id": 1, "phone": "06 12 34 56 78"}]', '[{"id": 1, "erased": "e"}]', 1),
        ("n;mail\n1;a@x.fr\n2;b@x.fr", "n;mail\nerased e\n2;b@x.fr", 1),
        ('[{"id": 12, "name": "a product"}]', '[{"id": 12, "name": "a product"}]', 0),
        ("not json {", "not json {", 0),
    ],
)
def test_a_payload_loses_one_person(text: str, expected: str, rows: int) -> None:
    person = Person(
        tokens=frozenset(),
        shared_tokens=frozenset(),
        customers=frozenset({("shop", "12")}),
        orders=frozenset(),
        emails=frozenset({"a@x.fr"}),
        phones=frozenset({"33612345678"}),
        names=frozenset(),
        said=frozenset(),
    )
    data, found = without(text.encode(), person, system_code="shop", stream="orders", erasure_id="e")
    assert (data.decode(), found) == (expected, rows)
