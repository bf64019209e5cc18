"""The sandbox's drops: every planted broken row and file is found, and nothing else is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from resources.connectors.files import FilesConnector
from resources.connectors.sdk.feed import load_feeds
from resources.privacy import Tokeniser
from sandbox.drops import write_drops
from sandbox.world import build_world
from tests.extract.fakes import KEY, Stores

SYSTEMS = {
    "erp": "Europe/Paris", "pos": "UTC", "counts": "UTC", "wms": "Europe/Paris", "carrier": "UTC", "marketplace": "Europe/Paris",
}  # fmt: skip


def test_the_drops_are_read_as_planted(tmp_path: Path) -> None:
    now = datetime(2026, 5, 18, 10, tzinfo=UTC)
    truth = write_drops(build_world(seed=11, now=now, variants=600, orders=3000), tmp_path / "drops")
    stores, feeds = Stores.open(tmp_path / "data"), load_feeds()
    names = {file["feed"]: file["system"] for file in truth["files"]}
    for system, zone in SYSTEMS.items():
        mine = [feeds[feed] for feed, owner in names.items() if owner == system]
        files = FilesConnector(system, tmp_path / "drops" / system, mine, time_zone=zone, tokeniser=Tokeniser(KEY))
        for stream in files.streams():
            manifest = stores.extract(files, stream, now=now)
            refused = [f for f in truth["files"] if f["feed"] == stream.name and f["outcome"] == "refused"]
            assert manifest.outcome == ("incomplete" if refused else "complete"), manifest.error
            assert manifest.announced_qty == manifest.landed_qty + manifest.quarantined_qty + sum(
                f["rows"] for f in refused
            )
            assert stores.extract(files, stream, now=now).announced_qty == 0
    found = {(q.stream, q.part, q.line) for q in stores.operations.quarantined() if q.is_root}
    assert found == {(q["feed"], q["file"], q["line"]) for q in truth["quarantine"]}
    outcomes = {
        (r.name, r.outcome) for feed, system in names.items() for r in stores.operations.file_receipts(system, feed)
    }
    assert outcomes == {(file["file"], file["outcome"]) for file in truth["files"]}
    acknowledged = {path.name for path in (tmp_path / "drops").glob("*/ack/*.ack.json")}
    assert acknowledged == {f"{file['file']}.ack.json" for file in truth["files"]}
