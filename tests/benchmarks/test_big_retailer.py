"""The big retailer of the benchmarks: what its files say is read whole, adds up, and changes by about one order line in a hundred."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from benchmarks.big_retailer.making import drop_changes, make_retailer, start_anew
from benchmarks.big_retailer.world import LATER, NOW, Size, make_world
from resources.connectors.files import FilesConnector
from resources.connectors.sdk.feed import load_feeds
from resources.operations import Manifest
from resources.privacy import Tokeniser
from resources.retailer import FilesSystem, load_retailer
from tests.extract.fakes import KEY, Stores

LINES = 20_000
TELLS_IT_ALL = ("erp_catalogue", "erp_stock", "erp_prices", "marketplace_offers")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("big") / "retailer"
    make_retailer(made, LINES, seed=3)
    return made


def read(folder: Path, stores: Stores, *, now: datetime) -> dict[str, Manifest]:
    """Read what is new of every feed; feed -> manifest."""
    retailer = load_retailer(folder / "retailer.yaml", {"ETALON_DROPS": str(folder / "drops")})
    found, feeds = {}, load_feeds()
    for system in retailer.systems:
        assert isinstance(system, FilesSystem)
        files = FilesConnector(
            system.code,
            Path(str(system.folder)),
            [feeds[name] for name in system.feeds],
            time_zone=str(system.time_zone),
            tokeniser=Tokeniser(KEY),
        )
        for stream in files.streams():
            found[stream.name] = stores.extract(files, stream, now=now)
    return found


def test_history_and_changes_are_read_whole(folder: Path, tmp_path: Path) -> None:
    made = make_retailer(folder, LINES, seed=3)  # the same one is not made twice
    made["changes: erp_promotions rows"] = 0  # the very file that was read before
    stores = Stores.open(tmp_path)
    history = read(folder, stores, now=NOW)
    drop_changes(folder)
    changes = read(folder, stores, now=LATER)
    start_anew(folder)
    for told, prefix in ((history, ""), (changes, "changes: ")):
        assert {name: manifest.outcome for name, manifest in told.items()} == dict.fromkeys(told, "complete")
        assert {name: manifest.announced_qty for name, manifest in told.items()} == {
            name: made.get(f"{prefix}{name} rows", 0) for name in told
        }
    assert 0.008 <= made["changed order lines"] / LINES <= 0.013
    assert all(changes[name].landed_qty >= history[name].landed_qty for name in TELLS_IT_ALL)


def test_the_same_seed_is_the_same_world() -> None:
    one, other, third = (make_world(Size(2_000), seed) for seed in (5, 5, 6))
    for name in ("orders", "lines", "parcels", "returns", "tickets", "movements", "counts", "prices"):
        assert getattr(one, name).equals(getattr(other, name)), name
    assert not one.lines.equals(third.lines)


def test_it_is_as_large_as_asked_and_its_stock_is_never_negative() -> None:
    world = make_world(Size(LINES), seed=3)
    now = pl.lit(NOW)
    orders = world.orders.filter(pl.col("ordered_at") <= now).join(world.lines, on="order")
    sold = world.tickets.filter(pl.col("sold_at") <= now)
    assert orders.height + sold.height == pytest.approx(LINES, rel=0.03)
    balance = world.movements.select(pl.col("quantity").cum_sum().over("place", "product").alias("book"))
    assert balance["book"].min() >= 0  # type: ignore[operator]
