"""The demo: a sandbox retailer read, measured, compared with its own truth, and its shops written, on this machine's own files.

Belongs here: the order of things. Showing them is the command's, comparing them is `orchestration.verification`, writing the shops
is `orchestration.demo_sync`, sending the ERP its orders `orchestration.demo_orders`.
"""

from __future__ import annotations

import csv
import json
import os
import secrets
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from assets.progress import Progress, Reporter, quiet
from assets.runtime import build_runtime
from orchestration.demo_orders import DemoOrders, send_orders, take_answers
from orchestration.demo_sync import DemoSync, sync_shops
from orchestration.runs import RunSummary, run_job
from orchestration.sandbox_process import sandbox_process
from orchestration.verification import Comparison, Difference, compare_with_truth
from resources.errors import ConfigurationError, Where
from resources.settings import Settings

ENV_FILE = "demo.env"
DEFAULT_SEED = 7
DEFAULT_NOW = datetime(2026, 5, 18, 10, 0, tzinfo=UTC)
"""A Monday; the 120 days before it hold the spring clock change, Good Friday in Alsace and three public holidays of May."""

VARIANTS, ORDERS = 5_000, 20_000
"""Size of the demo at scale 1."""


@dataclass(frozen=True)
class DemoOutcome:
    """What one demo did.

    ``comparison``: None when the run stopped before it published. ``sync``, ``orders``: None when nothing was written.
    ``sandbox_seconds``: making the world, its file drops and its servers.
    """

    folder: Path
    summary: RunSummary
    comparison: Comparison | None
    sandbox_seconds: float
    seconds: float
    sync: DemoSync | None = None
    orders: DemoOrders | None = None

    @property
    def is_measured_right(self) -> bool:
        """The run finished, and everything it measured equals the truth.

        Some checks are red on purpose: the sandbox has files that lie, and the truth says which.
        """
        return self.comparison is not None and not self.comparison.differences

    @property
    def is_good(self) -> bool:
        """Measured right, the shops that were written are right, and the ERP knows each order once."""
        return (
            self.is_measured_right
            and (self.sync is None or self.sync.is_good)
            and (self.orders is None or self.orders.is_good)
        )


@contextmanager
def run_demo(
    folder: Path,
    *,
    root: Path,
    seed: int = DEFAULT_SEED,
    scale: float = 1.0,
    now: datetime = DEFAULT_NOW,
    sync: bool = True,
    report: Reporter = quiet,
) -> Iterator[DemoOutcome]:
    """Run the demo in ``folder``, which is emptied first; the sandbox's servers stay up until the context ends.

    ``scale`` multiplies the 5,000 variants and 20,000 orders. ``sync``: write the shops and send the ERP its orders
    afterwards, and read them again. Raises EtalonError when the sandbox does not start.
    """
    started = time.monotonic()
    empty_folder(folder)
    report(Progress("sandbox", f"inventing {int(ORDERS * scale):,} orders"))
    with sandbox_process(
        folder / "sandbox", seed=seed, variants=int(VARIANTS * scale), orders=int(ORDERS * scale), now=now
    ) as place:
        variables = {
            **place.variables,
            "ETALON_DATA_DIR": str(folder),
            "ETALON_NOW": now.isoformat(),
            "ETALON_SECRET_KEY": secrets.token_hex(32),
        }
        write_env_file(folder / ENV_FILE, variables)
        settings = Settings.from_environment({**tuning(os.environ), **variables}, root)
        runtime = build_runtime(settings, report=report)
        summary = run_job(runtime, full=True)
        comparison = None
        if summary.is_finished:
            report(Progress("compare", "with the truth"))
            truth = json.loads(place.truth_path.read_text(encoding="utf-8"))
            comparison = compare_with_truth(settings.bi_path, runtime.operations, truth)
            write_differences(folder / "differences.tsv", comparison.differences)
        synced, orders = None, None
        if sync and comparison is not None:
            sent = send_orders(runtime, place)
            synced = sync_shops(runtime)  # reads the systems once more: with them, the ERP's answers
            orders = take_answers(runtime, sent)
        yield DemoOutcome(folder, summary, comparison, place.seconds, time.monotonic() - started, synced, orders)


def write_env_file(path: Path, variables: Mapping[str, str]) -> None:
    """Keep the demo's variables for `etalon ui`, `etalon kpis` and the others. Readable by its owner only: keys are in it."""
    lines = ["# Written by `etalon demo`. Other commands read it while there is no .env."]
    lines += [f"{name}={value}" for name, value in variables.items()]
    path.touch(mode=0o600)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_differences(path: Path, differences: Sequence[Difference]) -> None:
    """All differences, one a line, for the days when there are more than a terminal can show."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t")
        writer.writerow(Difference._fields)
        writer.writerows(differences)


def empty_folder(folder: Path) -> None:
    """Make ``folder`` new; refuses to empty one that no demo filled."""
    if folder.exists() and any(folder.iterdir()) and not (folder / ENV_FILE).is_file():
        raise ConfigurationError(
            "this folder holds something that is no demo's",
            where=Where(field="--folder", file=str(folder)),
            action="name a new folder, or empty it yourself",
        )
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def tuning(environ: Mapping[str, str]) -> dict[str, str]:
    """What a person may set for the demo too. Not Postgres: the demo starts empty, and another run's tables are not its own."""
    names = ("ETALON_MEMORY_LIMIT", "ETALON_THREADS")
    return {name: environ[name] for name in names if name in environ}
