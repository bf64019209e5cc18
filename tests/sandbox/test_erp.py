"""The sandbox's ERP: given ORDERS files, expect what it books and refuses, its answers as the feed reads them, and its stock."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from resources.connectors.files import FilesConnector
from resources.connectors.sdk.feed import load_feeds
from sandbox.drops.erp import erp_files
from sandbox.erp import RefusalRules, SandboxErp
from sandbox.ledger import Ledger, Units
from sandbox.world import World, build_world
from tests.orders_out.given import Desk, export, line, order

NOW = datetime(2026, 5, 18, 10, tzinfo=UTC)
KNOWN, OTHER = "ML-0000001", "ML-0000002"


@pytest.fixture(scope="module")
def world() -> World:
    return build_world(seed=3, now=NOW, variants=500, orders=2_000)


class Office:
    """An ERP with its folders, and somebody who sends it orders."""

    def __init__(self, world: World, root: Path, rules: RefusalRules) -> None:
        self.desk = Desk.open(root)
        self.drops = root / "drops"
        (self.drops / "erp").mkdir(parents=True)
        self.ledger = Ledger(world)
        self.now = NOW
        self.erp = SandboxErp(world, root / "to_erp", self.drops / "erp", lambda: self.now, self.ledger, rules)

    def told(self) -> list[tuple[str, str, str]]:
        """(number, decision, reason) of what it answers now."""
        self.now += timedelta(minutes=1)
        return [(answer.order.number, answer.decision, answer.reason) for answer in self.erp.answer()]

    def read(self, feed: str, entity: str) -> pl.DataFrame:
        """Its files of a feed, as the connector reads them."""
        connector = FilesConnector(
            "erp", self.drops / "erp", [load_feeds()[feed]], time_zone="Europe/Paris", tokeniser=None
        )
        reading = connector.read(connector.streams()[0], since_at=None, now=self.now)
        batches = list(reading.batches)
        assert [end.outcome for batch in batches for end in batch.ends if end.outcome == "refused"] == []
        assert list(reading.faults) == []
        frames = [batch.frames[entity] for batch in batches if entity in batch.frames]
        return pl.concat(frames) if frames else pl.DataFrame()


def office(world: World, root: Path, **rules: object) -> Office:
    return Office(world, root, RefusalRules(**rules))  # type: ignore[arg-type]


def test_it_books_refuses_and_says_why(world: World, tmp_path: Path) -> None:
    rules = {"blocked_skus": {OTHER}, "closed_countries": {"IS"}, "blocked_customers": {("web-fr", "D")}}
    place = office(world, tmp_path, **rules)
    orders = [
        order("A"),
        order("B"),
        order("C"),
        order("D"),
        order("E", country_code="IS"),
        order("F", location_code="X9"),
    ]
    lines = [
        line("A", sku=KNOWN),
        line("B", sku="NOBODYS"),
        line("C", sku=OTHER),
        *(line(number, sku=KNOWN) for number in "DEF"),
    ]
    place.desk.send(export(orders, lines))
    assert place.told() == [
        ("A", "booked", ""),
        ("B", "refused", "Article inconnu : NOBODYS"),
        ("C", "refused", f"Article bloqué à la vente : {OTHER}"),
        ("D", "refused", "Client bloqué"),
        ("E", "refused", "Pays non desservi : IS"),
        ("F", "refused", "Dépôt inconnu : X9"),
    ]
    answers = place.read("erp_acknowledgements", "order_acknowledgement")
    assert answers.select("order_number", "is_accepted", "refusal_reason").rows()[:3] == [
        ("A", True, None),
        ("B", False, "Article inconnu : NOBODYS"),
        ("C", False, f"Article bloqué à la vente : {OTHER}"),
    ]
    assert place.told() == [], "its folder is empty: it took what it read away"


def test_it_refuses_each_nth(world: World, tmp_path: Path) -> None:
    place = office(world, tmp_path, every_nth=2)
    place.desk.send(export([order(number) for number in "ABCD"]))
    assert [decision for _, decision, _ in place.told()] == ["booked", "refused", "booked", "refused"]


def test_its_answers_go_on_from_its_earlier_files(world: World, tmp_path: Path) -> None:
    place = office(world, tmp_path)
    earlier = [file for file in erp_files(world) if file.feed == "erp_acknowledgements"]
    for file in earlier:
        file.write(place.drops)
    place.desk.send(export([order("A")]))
    place.told()
    names = sorted(path.name for path in (place.drops / "erp").glob("ORDRSP_*.csv"))
    assert names[-1].startswith(f"ORDRSP_{len(earlier) + 1:06d}_")
    assert place.read("erp_acknowledgements", "order_acknowledgement").filter(pl.col("order_number") == "A").height == 1


def test_what_the_world_booked_is_booked(world: World, tmp_path: Path) -> None:
    place = office(world, tmp_path)
    row = world.stock.acknowledgements.filter("is_accepted").row(0, named=True)
    given = order(row["number"], channel_code=row["channel"])
    place.desk.send(export([given], [line(row["number"])]))
    assert place.told() == [(row["number"], "duplicate", "déjà reçue")]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (b"</commandes>", b"", "somme"),
        (b'nombre="1"', b'nombre="2"', "1 commandes, 2"),
        (b'sequence="1"', b'sequence="9"', "le num"),
        (b'version="1"', b'version="2"', "document inattendu"),
        (b"<sku>ML-0000001</sku>", b"", "ligne sans sku"),
    ],
)
def test_a_file_it_cannot_read_is_noted_whole(world: World, tmp_path: Path, old: bytes, new: bytes, told: str) -> None:
    place = office(world, tmp_path)
    name = place.desk.send(export([order("A")])).files[0]
    path = place.desk.out.folder / name
    changed = path.read_bytes().replace(old, new, 1)
    path.write_bytes(changed)
    if told != "somme":
        marker = {"rows": 1, "sha256": hashlib.sha256(changed).hexdigest()}
        path.with_name(f"{name}.done").write_text(json.dumps(marker))
    assert place.told() == []
    assert [reason.startswith(told) for _, reason in place.erp.unreadable] == [True]


def on_hand(levels: pl.DataFrame, location: str, item: int) -> tuple[int, int]:
    row = levels.filter(pl.col("location") == location, pl.col("item") == item).row(0, named=True)
    return int(row["on_hand"]), int(row["committed"])


def plain_item(world: World) -> tuple[int, str]:
    """An article that the warehouse has, which is neither net nor a kit."""
    rows = world.stock.levels.filter(pl.col("location") == "WH1", ~pl.col("is_net"), pl.col("on_hand") > 5)
    row = rows.join(world.catalogue.items.filter("is_plain").select("item", "sku"), on="item").row(0, named=True)
    return int(row["item"]), str(row["sku"])


def test_its_stock_follows_what_is_booked_shipped_and_sold(world: World, tmp_path: Path) -> None:
    place = office(world, tmp_path)
    item, sku = plain_item(world)
    stock, promised = on_hand(place.ledger.levels(NOW), "WH1", item)
    place.desk.send(export([order("A")], [line("A", sku=sku, quantity=2)]))
    place.told()
    assert on_hand(place.ledger.levels(place.now), "WH1", item) == (stock, promised + 2)
    place.ledger.sell([Units("WH1", item, 2)], at=place.now)
    place.ledger.release(("web-fr", "A"))
    assert on_hand(place.ledger.levels(place.now), "WH1", item) == (stock - 2, promised)
    file = place.erp.write_stock()
    code = world.catalogue.items.filter(pl.col("item") == item)["code"][0]
    read = place.read("erp_stock", "stock_level").filter(
        pl.col("product_external_id") == code, pl.col("location_code") == "WH1"
    )
    assert read["on_hand_qty"].to_list() == [stock - 2]
    assert file.rows == world.stock.levels.height


def test_a_kit_is_booked_as_its_components(world: World, tmp_path: Path) -> None:
    ledger = Ledger(world)
    kit = world.catalogue.kits.join(
        world.stock.levels.filter(pl.col("location") == "WH1").select(component="item"), on="component"
    ).row(0, named=True)
    before = on_hand(ledger.levels(NOW), "WH1", kit["component"])
    ledger.commit("K", [Units("WH1", kit["kit"], 3)])
    after = on_hand(ledger.levels(NOW), "WH1", kit["component"])
    assert after[1] - before[1] == 3 * kit["qty"]
