"""A retailer whose customers have values found nowhere else, read once for all tests that look for them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl
import pytest

from assets.runtime import Runtime, build_runtime
from orchestration.demo import DEFAULT_NOW, DEFAULT_SEED
from orchestration.runs import run_job
from resources.settings import Settings
from resources.sql_project import SqlProject
from sandbox.drops import write_drops
from sandbox.retailer import KEY_BE, KEY_FR, SECRET_BE
from sandbox.servers import woocommerce_shapes
from sandbox.servers.prestashop import PrestaShopServer
from sandbox.servers.woocommerce import WooCommerceServer
from sandbox.shop_data import ShopData
from sandbox.world import build_world

EMAIL, FIRST, LAST, STREET, NOTE = "zzcanary-mail", "Zzcanaryfirst", "Zzcanarylast", "rue de l’Église", "zzcanarynote"
SLIPPED = "zzcanary-slipped@canary.example"
PHONE = "+33699887766554"
NEEDLES = ("zzcanary", PHONE.removeprefix("+33"), STREET)
"""All that is planted of e-mails, names, notes and streets holds the first or the last; phones are told by their digits."""


def with_canaries(data: ShopData) -> ShopData:
    """The same shop, all its customers renamed."""
    number = pl.col("customer_id").cast(pl.String)
    email = pl.concat_str(pl.lit(f"{EMAIL}-"), number.fill_null("guest"), pl.lit("@canary.example"))
    phone = pl.concat_str(pl.lit(PHONE), number.fill_null("").str.zfill(5))  # no phone begins another
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


@dataclass(frozen=True)
class Ran:
    """A finished run, and where what it received came from."""

    runtime: Runtime
    data_dir: Path
    drops: Path


@contextmanager
def run_with_canaries(folder: Path, project_root: Path, project: SqlProject) -> Iterator[Ran]:
    """The main job over a small retailer with canaries in both shops and in the marketplace's files."""
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
            runtime = build_runtime(Settings.from_environment(variables, project_root), project=project)
            summary = run_job(runtime, full=True)
            assert summary.is_finished, summary.errors
            yield Ran(runtime, data_dir, drops)
        finally:
            shop_fr.stop()
            shop_be.stop()
