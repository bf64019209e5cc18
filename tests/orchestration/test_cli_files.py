"""`etalon files`: a gap is shown, and closed only by naming a file that is really missing, with a reason."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from assets.runtime import Runtime
from orchestration.cli import app, files, terminal
from resources.connectors.files import FilesConnector
from resources.connectors.sdk.feed import load_feeds
from resources.errors import ConfigurationError
from resources.extract import seen_files
from resources.settings import Settings
from tests.orchestration.small import small_runtime

ERP_FILES = ("INVMOV_000001_20260501080000.csv", "INVMOV_000004_20260504080000.csv")
TILL_FILES = (
    "SLSRPT_S01_000001_20260501080000.jsonl",
    "SLSRPT_S01_000003_20260503080000.jsonl",
    "SLSRPT_S02_000001_20260501080000.jsonl",
)
WHY = ("--reason", "the disk failed, says the ERP's team")


@pytest.fixture
def runtime(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """A pipeline whose ERP and tills drop files with gaps; the commands work on it."""
    drops = tmp_path / "drops"
    drops.mkdir()
    for name in (*ERP_FILES, *TILL_FILES):
        (drops / name).write_text("")
    feeds = load_feeds()

    def connector(code: str, *names: str) -> FilesConnector:
        return FilesConnector(code, drops, [feeds[name] for name in names], time_zone="Europe/Paris", tokeniser=None)

    made = small_runtime(settings)
    made.connectors = {
        **made.connectors,
        "erp": connector("erp", "erp_movements", "erp_stock"),
        "pos": connector("pos", "pos_tickets"),
    }
    monkeypatch.setattr(files, "open_runtime", lambda: made)
    monkeypatch.setattr(terminal.console, "_width", 200)  # a console measures its terminal once, when it is made
    return made


def ran(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["files", *arguments], env={"COLUMNS": "200", "TERM": "dumb"})


def test_gaps_are_listed_and_closed_one_by_one(runtime: Runtime) -> None:
    assert "INVMOV 000002, 000003" in ran("list").output
    assert ran("lost", "erp", "erp_movements", "2", *WHY).exit_code == 0
    listed = ran("list", "erp").output
    assert "INVMOV 000003" in listed
    assert "the disk failed, says the ERP's team" in listed
    connector = runtime.connectors["erp"]
    assert isinstance(connector, FilesConnector)
    stream = next(stream for stream in connector.streams() if stream.name == "erp_movements")
    now = datetime(2026, 5, 18, 10, 0, tzinfo=UTC)
    seen = seen_files(runtime.operations, "erp", "erp_movements")
    assert connector.read_files(stream, seen=seen, now=now).faults == (
        "sequence gap in INVMOV: 000003 never came (1 of 4)",
    )


def test_a_lost_file_of_a_store_names_its_store(runtime: Runtime) -> None:
    assert ran("lost", "pos", "pos_tickets", "2", "--scope", "S01", *WHY).exit_code == 0
    [receipt] = runtime.operations.file_receipts("pos", "pos_tickets")
    assert (receipt.outcome, receipt.sequence_scope, receipt.sequence) == ("lost", "SLSRPT_S01", 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("erp", "erp_movements", "4", *WHY), "000004 of INVMOV is not missing -> missing are: 000002, 000003"),
        (("erp", "erp_movements", "5", *WHY), "000005 of INVMOV is not missing"),
        (("erp", "erp_movements", "2", "--scope", "S01", *WHY), "in the scope S01 -> the sequences are INVMOV"),
        (("erp", "erp_stock", "2", *WHY), "none yet: no file ever came"),
        (("erp", "erp_sales", "2", *WHY), "erp has no feed erp_sales -> use one of erp_movements, erp_stock"),
        (("pos", "pos_tickets", "2", *WHY), "the sequences are SLSRPT_S01, SLSRPT_S02"),
        (("shop_fr", "orders", "2", *WHY), "shop_fr drops no files"),
        (("erp", "erp_movements", "2", "--reason", " "), "a reason is needed"),
    ],
)
def test_only_what_is_missing_can_be_lost(runtime: Runtime, arguments: tuple[str, ...], message: str) -> None:
    error = ran("lost", *arguments).exception
    assert isinstance(error, ConfigurationError)
    assert message in str(error)
    for stream in ("erp_movements", "erp_stock"):
        assert runtime.operations.file_receipts("erp", stream) == []


def test_a_file_that_comes_after_all_is_read(runtime: Runtime, tmp_path: Path) -> None:
    assert ran("lost", "erp", "erp_movements", "2", *WHY).exit_code == 0
    late = tmp_path / "drops" / "INVMOV_000002_20260502080000.csv"
    shutil.copy(tmp_path / "drops" / ERP_FILES[0], late)
    (tmp_path / "drops" / f"{late.name}.done").write_text("")
    connector = runtime.connectors["erp"]
    assert isinstance(connector, FilesConnector)
    stream = next(stream for stream in connector.streams() if stream.name == "erp_movements")
    seen = seen_files(runtime.operations, "erp", "erp_movements")
    reading = connector.read_files(stream, seen=seen, now=datetime(2026, 5, 18, 10, 0, tzinfo=UTC))
    assert late.name in {end.name for batch in reading.batches for end in batch.ends if end.outcome != "waiting"}
