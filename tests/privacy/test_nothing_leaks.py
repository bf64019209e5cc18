"""Given a retailer whose customers have values found nowhere else, expect none of them to be readable outside the sealed store."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import polars as pl
import pytest
import zstandard

from assets.runtime import Runtime, build_runtime
from orchestration.demo import DEFAULT_NOW, DEFAULT_SEED
from orchestration.runs import run_job
from resources import quarantine
from resources.settings import Settings
from sandbox.drops import write_drops
from sandbox.retailer import KEY_BE, KEY_FR, SECRET_BE
from sandbox.servers import woocommerce_shapes
from sandbox.servers.prestashop import PrestaShopServer
from sandbox.servers.woocommerce import WooCommerceServer
from sandbox.shop_data import ShopData
from sandbox.world import build_world
from tests.privacy.plain_text import files_that_show

EMAIL, FIRST, LAST, STREET, NOTE = "zzcanary-mail", "Zzcanaryfirst", "Zzcanarylast", "rue de l’Église", "zzcanarynote"
SLIPPED = "zzcanary-slipped@canary.example"
PHONE = "+33699887766554"
NEEDLES = ("zzcanary", PHONE.removeprefix("+33"), STREET)
"""All that is planted of e-mails, names, notes and streets holds the first or the last; phones are told by their digits."""


def with_canaries(data: ShopData) -> ShopData:
    """The same shop, all its customers renamed."""
    number = pl.col("customer_id").cast(pl.String)
    email = pl.concat_str(pl.lit(f"{EMAIL}-"), number.fill_null("guest"), pl.lit("@canary.example"))
    phone = pl.concat_str(pl.lit(PHONE), number.fill_null(""))
    person = {"email": email, "first_name": pl.lit(FIRST), "last_name": pl.lit(LAST), "phone": phone}
    note = pl.lit(f"Refund of {NOTE}").alias("reason")
    return replace(
        data,
        customers=data.customers.with_columns(**person),
        orders=data.orders.with_columns(**person),
        refunds=data.refunds.with_columns(note) if "reason" in data.refunds.columns else data.refunds,
    )


def plant_in_marketplace_files(folder: Path) -> None:
    """Each file's e-mails renamed; in the first row of all an e-mail slips into the quantity, so that its row is refused."""
    to_slip = True
    for number, path in enumerate(sorted(folder.glob("MKPORD_*.csv"))):
        head, *lines = path.read_text(encoding="latin-1").split("\n")  # byte for byte: some rows are broken on purpose
        names = head.split(",")
        email, qty = names.index("email"), names.index("qty")
        for at, line in enumerate(lines):
            cells = line.split(",")
            if len(cells) == len(names) and "@" in cells[email]:
                cells[email] = f"{EMAIL}-{number}@canary.example"
                if to_slip and cells[qty].isdigit():
                    cells[qty], to_slip = SLIPPED, False
                lines[at] = ",".join(cells)
        path.write_bytes("\n".join([head, *lines]).encode("latin-1"))
        marker = path.with_name(f"{path.name}.done")
        told = json.loads(marker.read_text(encoding="utf-8"))
        marker.write_text(json.dumps(told | {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}))


pytestmark = pytest.mark.xdist_group("canaries")  # one run for all of them


@dataclass(frozen=True)
class Ran:
    """A finished run, and where what it received came from."""

    runtime: Runtime
    data_dir: Path
    drops: Path


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[Ran]:
    """The main job over a small retailer with canaries in both shops and in the marketplace's files."""
    folder = tmp_path_factory.mktemp("canaries")
    drops, data_dir = folder / "drops", folder / "data"
    with pytest.MonkeyPatch.context() as patch:
        # The shop that knows no streets by itself gets one.
        patch.setitem(woocommerce_shapes.BLANK_BILLING, "address_1", f"7 {STREET}")
        world = build_world(seed=DEFAULT_SEED, now=DEFAULT_NOW, variants=500, orders=2_000)
        write_drops(world, drops)
        plant_in_marketplace_files(drops / "marketplace")
        clock = lambda: DEFAULT_NOW  # noqa: E731
        shop_fr = PrestaShopServer(with_canaries(world.shop_fr), key=KEY_FR, clock=clock)
        shop_be = WooCommerceServer(with_canaries(world.shop_be), key=KEY_BE, secret=SECRET_BE, clock=clock)
        variables = {
            "ETALON_DROPS": str(drops),
            "ETALON_SHOP_FR_URL": shop_fr.start(),
            "ETALON_SHOP_FR_KEY": KEY_FR,
            "ETALON_SHOP_BE_URL": shop_be.start(),
            "ETALON_SHOP_BE_KEY": KEY_BE,
            "ETALON_SHOP_BE_SECRET": SECRET_BE,
            "ETALON_SHOP_BE_WEBHOOK_SECRET": "of no delivery",
            "ETALON_DATA_DIR": str(data_dir),
            "ETALON_NOW": DEFAULT_NOW.isoformat(),
            "ETALON_SECRET_KEY": bytes(range(32)).hex(),
        }
        try:
            runtime = build_runtime(Settings.from_environment(variables, project_root))
            summary = run_job(runtime, full=True)
            assert summary.is_finished, summary.errors
            yield Ran(runtime, data_dir, drops)
        finally:
            shop_fr.stop()
            shop_be.stop()


def test_canaries_were_read_and_kept_under_the_seal(ran: Ran) -> None:
    """Nothing leaks from what was never read: each kind is in the sealed store and in the sealed payloads."""
    with sqlite3.connect(ran.data_dir / "pii.sqlite") as store:
        kept = [ran.runtime.personal.get(token) for (token,) in store.execute("SELECT token FROM personal_value")]
    values = {(value.kind, needle) for value in kept if value for needle in NEEDLES if needle in value.value.lower()}
    assert values >= {("email", "zzcanary"), ("name", "zzcanary"), ("phone", NEEDLES[1])}
    sealed = list((ran.data_dir / "landing").rglob("*.sealed"))
    assert {path.relative_to(ran.data_dir / "landing").parts[:2] for path in sealed} >= {
        ("shop_fr", "orders"),
        ("shop_fr", "customers"),
        ("shop_be", "orders"),
        ("shop_be", "customers"),
        ("marketplace", "marketplace_orders"),
    }


def test_no_canary_can_be_read_in_any_file_of_the_data_folder(ran: Ran) -> None:
    assert {path.name for path in ran.data_dir.iterdir()} >= {
        "landing", "canonical", "operations.sqlite", "warehouse.duckdb", "mart.duckdb", "published", "dagster", "pii.sqlite",
    }  # fmt: skip
    assert files_that_show(ran.data_dir, NEEDLES) == {needle: [] for needle in NEEDLES}


def test_no_acknowledgement_quotes_a_canary(ran: Ran) -> None:
    acknowledged = ran.drops / "marketplace" / "ack"
    assert list(acknowledged.glob("*.ack.json"))
    assert files_that_show(acknowledged, NEEDLES) == {needle: [] for needle in NEEDLES}


def test_the_refused_row_shows_its_canary_only_when_it_is_opened(ran: Ran) -> None:
    operations, landing = ran.runtime.operations, ran.runtime.landing
    rows = quarantine.list(operations, system_code="marketplace", stream="marketplace_orders")
    raw = [quarantine.show(operations, landing, row.quarantine_id).raw for row in rows if row.field == "qty"]
    assert [SLIPPED in text for text in raw].count(True) == 1


def test_the_search_finds_what_is_hidden_in_each_format(tmp_path: Path) -> None:
    """Given a value in each kind of file, expect the search to see it: a blind search would prove nothing."""
    hidden = f"{FIRST} {LAST}"
    (tmp_path / "plain.json").write_text(json.dumps({"street": f"7 {STREET}", "name": hidden.upper()}))
    (tmp_path / "raw.zst").write_bytes(zstandard.ZstdCompressor().compress(hidden.encode()))
    pl.DataFrame({"name": [hidden] * 1_000}).write_parquet(tmp_path / "rows.parquet", compression="zstd")
    with sqlite3.connect(tmp_path / "a.sqlite") as store:
        store.execute("CREATE TABLE t (x)")
        store.execute("INSERT INTO t VALUES (?)", [hidden])
    with duckdb.connect(str(tmp_path / "a.duckdb")) as store_2:
        store_2.execute("CREATE SCHEMA s")
        store_2.execute("CREATE TABLE s.t AS SELECT ? || i AS x FROM range(10000) r(i)", [hidden])
    found = files_that_show(tmp_path, NEEDLES)
    assert found["zzcanary"] == ["a.duckdb", "a.sqlite", "plain.json", "raw.zst", "rows.parquet"]
    assert found[STREET] == ["plain.json"]
    assert files_that_show(tmp_path, NEEDLES, leave_out=["plain.json"])[STREET] == []
