"""Start the whole sandbox: invent the world, drop its files, open its two shops and its ERP's folder, write down the truth."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sandbox.drops import write_drops
from sandbox.erp import RefusalRules, SandboxErp
from sandbox.ledger import Ledger
from sandbox.servers.faults import Fault, FaultPlan
from sandbox.servers.prestashop import PrestaShopServer
from sandbox.servers.woocommerce import WooCommerceServer
from sandbox.world import DEMO_NOW, DEMO_ORDERS, DEMO_SEED, DEMO_VARIANTS, World, build_world

KEY_FR = "SANDBOXSHOPFRKEYSANDBOXSHOPFRKEY"
KEY_BE = "ck_" + "5a" * 20
SECRET_BE = "cs_" + "5b" * 20
WEBHOOK_SECRET_BE = "whsec_" + "5c" * 20
REFUSES_UNKNOWN = RefusalRules()
TO_ERP = "to_erp"
"""Folder, beside those that systems drop files in, that the ERP takes orders from."""


@dataclass
class Sandbox:
    """A running retailer: two shops, an ERP, a folder of files, and the file that holds the truth. Call `stop` when done.

    `clock`: its present; the shops' and the ERP's too. `webhook_secret_be`: what the Belgian shop signs its deliveries with.
    """

    url_fr: str
    key_fr: str
    url_be: str
    key_be: str
    secret_be: str
    drops: Path
    truth_path: Path
    now: datetime
    world: World
    shop_fr: PrestaShopServer
    shop_be: WooCommerceServer
    webhook_secret_be: str
    clock: Callable[[], datetime]
    ledger: Ledger
    erp: SandboxErp

    def stop(self) -> None:
        """Close both shops."""
        self.shop_fr.stop()
        self.shop_be.stop()


def lost_rows() -> Fault:
    """The Belgian shop's customers lose a row on each page although its header announces them all."""
    return Fault(kind="drop_rows", pattern=r"^GET /wp-json/wc/v3/customers(\?|$)", rows=1)


def start_sandbox(
    folder: Path,
    *,
    scale: int = 1,
    variants: int | None = None,
    orders: int | None = None,
    seed: int = DEMO_SEED,
    now: datetime = DEMO_NOW,
    loses_rows: bool = True,
    tells_truth: bool = True,
    live: bool = False,
    refuses: RefusalRules = REFUSES_UNKNOWN,
    clock: Callable[[], datetime] | None = None,
) -> Sandbox:
    """Start a retailer under `folder`: files in `drops/`, truth in `truth.json`, two shops on 127.0.0.1.

    `scale` multiplies the demo's 5,000 variants and 20,000 orders; `variants` and `orders` set them outright.
    `loses_rows`: whether the Belgian shop's customers silently miss rows. `tells_truth`: whether KPI figures and work lists
    are worked out, which takes minutes for millions of orders; without them the truth holds the planted files and rows only.
    The shops' present is `now`; a `live` one starts there and goes on with real time; `clock` sets it outright. `refuses`: what the
    ERP refuses besides articles that it does not know. Raises ValueError when the world is too small.
    """
    now = now.astimezone(UTC).replace(microsecond=0)
    if clock is None:
        clock = running_from(now) if live else (lambda: now)
    world = build_world(
        seed=seed,
        now=now,
        variants=DEMO_VARIANTS * scale if variants is None else variants,
        orders=DEMO_ORDERS * scale if orders is None else orders,
    )
    drops = folder / "drops"
    planted = write_drops(world, drops)
    truth_path = folder / "truth.json"
    truth_path.write_text(
        json.dumps({**(world.truth if tells_truth else {}), **planted}, ensure_ascii=False), encoding="utf-8"
    )
    shop_fr = PrestaShopServer(world.shop_fr, key=KEY_FR, clock=clock, shop_name="Maison Lumière")
    faults = FaultPlan(lost_rows()) if loses_rows else FaultPlan()
    shop_be = WooCommerceServer(
        world.shop_be,
        key=KEY_BE,
        secret=SECRET_BE,
        clock=clock,
        shop_name="Maison Lumière Belgique",
        faults=faults,
    )
    ledger = Ledger(world)
    return Sandbox(
        url_fr=shop_fr.start(),
        key_fr=KEY_FR,
        url_be=shop_be.start(),
        key_be=KEY_BE,
        secret_be=SECRET_BE,
        drops=drops,
        truth_path=truth_path,
        now=now,
        world=world,
        shop_fr=shop_fr,
        shop_be=shop_be,
        webhook_secret_be=WEBHOOK_SECRET_BE,
        clock=clock,
        ledger=ledger,
        erp=SandboxErp(world, drops / TO_ERP, drops / "erp", clock, ledger, refuses),
    )


def running_from(now: datetime) -> Callable[[], datetime]:
    """A clock that shows `now` when it is made, and real time from there on."""
    started = time.monotonic()
    return lambda: now + timedelta(seconds=time.monotonic() - started)
