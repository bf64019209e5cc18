"""The dropped files: the same bytes for the same seed, and exactly what a careful reader of the declared feeds must find."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from lxml import etree

from resources.connectors.files import FilesConnector
from resources.connectors.sdk.feed import FEEDS_DIR, load_feeds
from resources.privacy import Tokeniser
from sandbox.drops import drop_files, write_drops
from sandbox.drops.files import decimal, decimal_text
from sandbox.world import DEMO_NOW, World, build_world
from tests.sandbox.world.conftest import small_world

CONTRACT_DEFECTS = {"negative", "bad_currency", "missing_field", "missing_key", "unknown_value"}
"""Defects that a reader may leave to the contracts."""


def test_the_same_seed_drops_the_same_bytes() -> None:
    again = build_world(seed=7, now=DEMO_NOW, variants=600, orders=2_500)
    first = {file.name: hashlib.sha256(file.data).hexdigest() for file in drop_files(small_world(7))}
    assert first == {file.name: hashlib.sha256(file.data).hexdigest() for file in drop_files(again)}
    assert again.truth == small_world(7).truth


def test_the_same_seed_fills_the_same_shops() -> None:
    again = build_world(seed=7, now=DEMO_NOW, variants=600, orders=2_500)
    for shop in ("shop_fr", "shop_be"):
        ours, theirs = getattr(small_world(7), shop), getattr(again, shop)
        for frame in (
            "items",
            "kit_items",
            "promotions",
            "customers",
            "orders",
            "order_lines",
            "refunds",
            "refund_lines",
        ):
            assert getattr(ours, frame).equals(getattr(theirs, frame)), (shop, frame)


def test_another_seed_is_another_world() -> None:
    assert small_world(1).truth["kpi_value"] != small_world(7).truth["kpi_value"]


def test_markers_tell_the_file(tmp_path: Path) -> None:
    told = write_drops(small_world(7), tmp_path)
    for file in told["files"]:
        data = (tmp_path / file["system"] / file["file"]).read_bytes()
        marker = json.loads((tmp_path / file["system"] / f"{file['file']}.done").read_text())
        assert marker["sha256"] == hashlib.sha256(data).hexdigest()
        assert marker["rows"] == file["rows"]
    twice = [file for file in told["files"] if file["outcome"] == "duplicate"]
    assert len(twice) == 1
    assert {file["feed"] for file in told["files"] if file["outcome"] == "refused"} == {
        "erp_purchase_orders",
        "stock_counts",
    }


@pytest.mark.parametrize("seed", [1, 7])
def test_a_reader_finds_what_the_truth_tells(tmp_path: Path, seed: int) -> None:
    told = write_drops(small_world(seed), tmp_path)
    found = _read(tmp_path, told)
    wanted = {
        (row["feed"], row["file"], row["line"]) for row in told["quarantine"] if row["defect"] not in CONTRACT_DEFECTS
    }
    allowed = {(row["feed"], row["file"], row["line"]) for row in told["quarantine"]}
    assert wanted <= found["rejects"] <= allowed
    assert found["outcomes"] == {file["file"]: file["outcome"] for file in told["files"]}


def _read(folder: Path, told: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    feeds, by_system = load_feeds(), defaultdict(set)
    for file in told["files"]:
        by_system[file["system"]].add(file["feed"])
    rejects: set[tuple[str, str, int]] = set()
    outcomes: dict[str, str] = {}
    for system, names in by_system.items():
        zone = "Europe/Paris" if system in ("erp", "wms", "marketplace") else "UTC"
        connector = FilesConnector(
            system,
            folder / system,
            [feeds[name] for name in sorted(names)],
            time_zone=zone,
            tokeniser=Tokeniser(bytes(32)),
        )
        for stream in connector.streams():
            for batch in connector.read_files(stream, seen=(), now=DEMO_NOW).batches:
                rejects |= {(stream.name, reject.position.split(":")[0], reject.line or 0) for reject in batch.rejects}
                outcomes.update({end.name: end.outcome for end in batch.ends})
    return {"rejects": rejects, "outcomes": outcomes}


@pytest.mark.parametrize(
    "file", [file for file in drop_files(small_world(7)) if file.feed == "erp_catalogue"], ids=lambda file: file.feed
)
def test_the_catalogue_follows_its_schema(file: Any) -> None:
    schema = etree.XMLSchema(etree.parse(FEEDS_DIR / "erp_catalogue.xsd"))
    document = etree.fromstring(file.data)
    schema.assertValid(document)
    assert int(document.get("articles") or 0) == len(document) == file.rows


def test_csv_headers_are_those_declared() -> None:
    feeds = load_feeds()
    for file in drop_files(small_world(7)):
        if file.name.endswith(".csv") and not file.reason.startswith("column"):
            separator = feeds[file.feed].format.delimiter  # type: ignore[union-attr]
            assert file.data.split(b"\n", 1)[0].decode().split(separator) == list(feeds[file.feed].columns), file.name


def test_broken_rows_name_things_that_exist_nowhere_else(world: World) -> None:
    assert world.catalogue.items.filter(
        pl.col("code").str.starts_with("D9") | pl.col("sku").str.starts_with("D9")
    ).is_empty()


def test_decimal_text() -> None:
    frame = pl.DataFrame({"minor": [0, 5, -5, 1290, -123456]})
    assert [decimal_text(value, ",") for value in frame["minor"]] == ["0,00", "0,05", "-0,05", "12,90", "-1234,56"]
    assert frame.select(decimal("minor", ",").alias("text"))["text"].to_list() == [
        "0,00",
        "0,05",
        "-0,05",
        "12,90",
        "-1234,56",
    ]
