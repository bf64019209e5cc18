"""The main job on recorded shops: a real PrestaShop and a real WooCommerce, replayed and measured.

Belongs here: setting that run up, and comparing what the warehouse holds with `examples/recorded/expected.yml`, the figures
worked out from the recordings by hand. What such a figure is, and how one is checked by hand, is told in `examples/recorded/README.md`.
"""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import duckdb
import yaml

from assets.progress import Progress, Reporter, quiet
from assets.runtime import build_runtime
from orchestration.demo import ENV_FILE, DemoOutcome, empty_folder, tuning, write_differences, write_env_file
from orchestration.runs import RunSummary, run_job
from orchestration.verification import Comparison, Difference, Subject, compare_bags
from resources.operations import Operations
from resources.report.data import open_published
from resources.settings import Settings
from sandbox.servers.replay import ReplayServer

RECORDED_NOW = datetime(2026, 11, 21, 23, 30, tzinfo=UTC)
"""Half an hour into 22 November in Paris: the local day on which the shops were recorded is over, so what was promised for it is due."""

STREAM_COLUMNS = ("system", "stream", "announced", "landed", "quarantined", "outcome")

Row = tuple[str, ...]


@contextmanager
def run_recorded(folder: Path, *, root: Path, report: Reporter = quiet) -> Iterator[DemoOutcome]:
    """Run the main job on the recorded shops in ``folder``, which is emptied first; the shops stay up until the context ends.

    ``root``: the project's folder; its `examples/recorded` and `tests/recordings` are read. Raises EtalonError for a mistake
    in the example's retailer.yaml and ValueError for a recording that cannot be read.
    """
    started = time.monotonic()
    empty_folder(folder)
    report(Progress("shops", "reading the recordings"))
    with _replayed_shops(root / "tests" / "recordings") as shops:
        example = root / "examples" / "recorded"
        # A copy, so that nothing of a run is ever left in the project.
        shutil.copytree(example / "drops", folder / "drops")
        variables = {
            **shops,
            "ETALON_RETAILER": str(example / "retailer.yaml"),
            "ETALON_DROPS": str(folder / "drops"),
            "ETALON_DATA_DIR": str(folder),
            "ETALON_NOW": RECORDED_NOW.isoformat(),
            "ETALON_SECRET_KEY": secrets.token_hex(32),
        }
        write_env_file(folder / ENV_FILE, variables)
        shops_seconds = time.monotonic() - started
        settings = Settings.from_environment({**tuning(os.environ), **variables}, root)
        runtime = build_runtime(settings, report=report)
        summary = run_job(runtime, full=True)
        comparison = None
        if summary.is_finished:
            report(Progress("compare", "with the figures worked out by hand"))
            expected = yaml.safe_load((example / "expected.yml").read_text(encoding="utf-8"))
            comparison = compare_with_expected(
                settings.data_dir / "warehouse.duckdb", runtime.operations, summary, expected
            )
            write_differences(folder / "differences.tsv", comparison.differences)
        yield DemoOutcome(folder, summary, comparison, shops_seconds, time.monotonic() - started)


@contextmanager
def _replayed_shops(recordings: Path) -> Iterator[dict[str, str]]:
    """Both recorded shops on loopback, with keys of their own; gives the variables that the example's retailer.yaml asks for."""
    presta_key = secrets.token_hex(16).upper()
    woo_key, woo_secret = f"ck_{secrets.token_hex(20)}", f"cs_{secrets.token_hex(20)}"
    presta = ReplayServer(recordings / "prestashop", key=presta_key, clock=lambda: RECORDED_NOW)
    woo = ReplayServer(recordings / "woocommerce", key=woo_key, secret=woo_secret, clock=lambda: RECORDED_NOW)
    presta_url, woo_url = presta.start(), woo.start()
    try:
        yield {
            "ETALON_PRESTASHOP_URL": presta_url,
            "ETALON_PRESTASHOP_KEY": presta_key,
            "ETALON_WOOCOMMERCE_URL": woo_url,
            "ETALON_WOOCOMMERCE_KEY": woo_key,
            "ETALON_WOOCOMMERCE_SECRET": woo_secret,
        }
    finally:
        presta.stop()
        woo.stop()


def compare_with_expected(
    warehouse_path: Path, operations: Operations, summary: RunSummary, expected: Mapping[str, Any]
) -> Comparison:
    """Compare a finished run with the figures of an `expected.yml`; every row of every figure, exactly.

    Reads the warehouse, which no writer may hold open. Raises ValueError for a figure whose columns are not its query's.
    """
    parts = [("checks", 0, _red_checks(summary)), _streams(operations, expected["streams"])]
    with open_published(warehouse_path) as con:
        parts += [_figure(con, figure) for figure in expected["figures"]]
    return Comparison(
        subjects=tuple(Subject(name, rows, len(differences)) for name, rows, differences in parts),
        differences=tuple(difference for _, _, differences in parts for difference in differences),
    )


Part = tuple[str, int, list[Difference]]


def _red_checks(summary: RunSummary) -> list[Difference]:
    """Real shops hold nothing that a check of severity error may complain of."""
    return [
        Difference("checks", f"{check.asset} {check.check}", "", "passes", check.detail)
        for check in summary.failed_checks
        if check.is_error
    ]


def _streams(operations: Operations, text: str) -> Part:
    columns, told = parse_table(text)
    if columns != STREAM_COLUMNS:
        raise ValueError(f"streams: the columns are {STREAM_COLUMNS}, got {columns}")
    last = {(manifest.system_code, manifest.stream): manifest for manifest in operations.manifests()}
    found = [
        as_text(
            (
                manifest.system_code,
                manifest.stream,
                manifest.announced_qty,
                manifest.landed_qty,
                manifest.quarantined_qty,
                manifest.outcome,
            )
        )
        for manifest in last.values()
    ]
    return "streams", len(told), compare_bags("streams", told, found)


def _figure(con: duckdb.DuckDBPyConnection, figure: Mapping[str, str]) -> Part:
    name = figure["figure"]
    columns, told = parse_table(figure["expect"])
    cursor = con.execute(figure["query"])
    found_columns = tuple(column[0] for column in cursor.description or ())
    if columns != found_columns:
        raise ValueError(f"{name}: the query gives {found_columns}, the expected table has {columns}")
    return name, len(told), compare_bags(name, told, [as_text(row) for row in cursor.fetchall()])


def parse_table(text: str) -> tuple[Row, list[Row]]:
    """`a | b` lines to columns and rows of stripped text; an empty cell is null. Raises ValueError for a row of another length."""
    columns, *rows = (tuple(cell.strip() for cell in line.split("|")) for line in text.strip().splitlines())
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"{len(columns)} cells expected as in {columns}, got {row}")
    return columns, rows


def as_text(row: Sequence[object]) -> Row:
    """Values as `expected.yml` writes them: null empty, instants in UTC and whole seconds, booleans `true` and `false`."""
    return tuple(_cell(value) for value in row)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return value.isoformat() if isinstance(value, date) else str(value)
