"""Till tickets read from JSON Lines to canonical orders and lines: declared types, contracts, landing, quarantine."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.drops import drop, read_drop
from benchmarks.harness import (
    Baseline,
    Goal,
    Line,
    Outcome,
    common_arguments,
    measure_beside,
    report,
    run_job_if_asked,
)

MODULE = "benchmarks.jsonl_feed"
_CHUNK_ROWS = 10_000


def write_file(folder: Path, tickets: int, *, bad_share: float, seed: int) -> int:
    """Drop one store's file of so many tickets, of one to three lines each; gives its size in bytes."""
    dice = random.Random(seed)  # noqa: S311  repeatable, not secret
    name = "SLSRPT_S01_000001_20260518040000.jsonl"
    with drop(folder, name, tickets) as file:
        for start in range(0, tickets, _CHUNK_ROWS):
            numbers = range(start, min(start + _CHUNK_ROWS, tickets))
            file.write("".join(_ticket(dice, number, dice.random() < bad_share) for number in numbers).encode())
    return (folder / name).stat().st_size


def job(given: dict[str, Any]) -> Outcome:
    """One reading of the file."""
    return read_drop(given, system_code="pos", feed="pos_tickets")


def main() -> None:
    """Run it from the command line."""
    parser = common_arguments(str(__doc__))
    parser.add_argument("--tickets", type=int, default=100_000, help="tickets of the file (default 100,000)")
    parser.add_argument("--bad-share", type=float, default=0.001, help="share of bad tickets (default 0.001)")
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    with tempfile.TemporaryDirectory() as folder:
        size_bytes = write_file(Path(folder), arguments.tickets, bad_share=arguments.bad_share, seed=arguments.seed)
        size = f"{arguments.tickets:,} tickets, {size_bytes / 1e6:.0f} MB, {arguments.bad_share:.2%} bad"
        given = {"drops": folder}
        dlt = Baseline("dlt filesystem", "dlt_files.py", "stack", {**given, "pattern": "*.jsonl"})
        line = Line("jsonl_feed", size, (), [Goal("peak_rss_mb", 300)])
        line = measure_beside(arguments, line, MODULE, given, dlt)
    report([line], as_json=arguments.json)


def _ticket(dice: random.Random, number: int, is_bad: bool) -> str:
    lines, total = [], 0
    for line in range(1, dice.randint(1, 3) + 1):
        product, quantity, price = dice.randrange(5_000), dice.randint(1, 2), dice.randrange(290, 12_990)
        total += quantity * price
        lines.append(
            f'{{"line":{line},"sku":"ML-{product:07d}","name":"Chemise d\'été n° {product}","qty":{quantity},'
            f'"unit_price":"{_money(price)}","manual_discount":"0.00","vat_rate":"20.00","return_of":null}}'
        )
    day, second = number % 28 + 1, number % 60
    return (
        f'{{"ticket":"T-S01-{number:08d}","store":"S01","channel":"stores-fr","sold_at":"2026-01-{day:02d}T11:56:{second:02d}Z",'
        f'"currency":"EUR","lines":[{",".join(lines)}],"total":"{"a lot" if is_bad else _money(total)}"}}\n'
    )


def _money(minor: int) -> str:
    return f"{minor // 100}.{minor % 100:02d}"


if __name__ == "__main__":
    main()
