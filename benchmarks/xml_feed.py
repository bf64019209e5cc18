"""An XML catalogue read in a stream to canonical products: its XSD, declared types, contracts, landing, quarantine."""

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

MODULE = "benchmarks.xml_feed"
_CHUNK_ROWS = 10_000
_XSD = Path(__file__).resolve().parents[1] / "resources/feeds/erp_catalogue.xsd"
_BASELINE_ARTICLES = 20_000
"""Above this the baseline would take minutes, and its cost only grows in line."""


def write_file(folder: Path, articles: int, *, bad_share: float, seed: int) -> int:
    """Drop one catalogue of so many articles, one in ten a kit of two; gives its size in bytes."""
    dice = random.Random(seed)  # noqa: S311  repeatable, not secret
    name = "PRICAT_000001_20260518040000.xml"
    with drop(folder, name, articles) as file:
        file.write(
            b'<?xml version="1.0" encoding="UTF-8"?>\n'
            + f'<catalogue genere="2026-05-18T04:00:00Z" articles="{articles}">\n'.encode()
        )
        for start in range(0, articles, _CHUNK_ROWS):
            numbers = range(start, min(start + _CHUNK_ROWS, articles))
            file.write("".join(_article(number, dice.random() < bad_share) for number in numbers).encode())
        file.write(b"</catalogue>\n")
    return (folder / name).stat().st_size


def job(given: dict[str, Any]) -> Outcome:
    """One reading of the file."""
    return read_drop(given, system_code="erp", feed="erp_catalogue")


def main() -> None:
    """Run it from the command line."""
    parser = common_arguments(str(__doc__))
    parser.add_argument("--articles", type=int, default=20_000, help="articles of the catalogue (default 20,000)")
    parser.add_argument("--bad-share", type=float, default=0.001, help="share of bad articles (default 0.001)")
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    goals = [
        Goal("work_rows_per_cpu_s", 25_000, at_least=True, applies=arguments.articles >= 200_000),
        Goal("peak_rss_mb", 300),
    ]
    with tempfile.TemporaryDirectory() as folder:
        size_bytes = write_file(Path(folder), arguments.articles, bad_share=arguments.bad_share, seed=arguments.seed)
        size = f"{size_bytes / 1e6:.0f} MB, {arguments.bad_share:.2%} bad"
        given = {"drops": folder}
        is_small = arguments.articles <= _BASELINE_ARTICLES
        xmlschema = Baseline("xmlschema, lazy", "xmlschema_feed.py", "files", {**given, "xsd": str(_XSD)})
        line = Line("xml_feed", size, (), goals)
        line = measure_beside(arguments, line, MODULE, given, xmlschema if is_small else None)
    report([line], as_json=arguments.json)


def _article(number: int, is_bad: bool) -> str:
    is_kit = number % 10 == 9
    parts = "".join(f'<composant article="A{number - back:07d}" qte="{back}"/>' for back in (1, 2)) if is_kit else ""
    body = f"2{number:011d}"
    digit = -sum(int(figure) * (3 if place % 2 else 1) for place, figure in enumerate(body)) % 10
    return (
        f'<article code="A{number:07d}" kind="{"kit" if is_kit else "simple"}" actif="O" suivi_stock="{"N" if is_kit else "O"}">'
        f"<sku>SKU-{number:07d}</sku><gtin>{body}{digit}</gtin><libelle>Chemise d'été à carreaux n° {number}</libelle>"
        f"<marque>Maison Lumière</marque><famille>MODE-{number % 40}</famille><tva>{'vingt' if is_bad else '20.00'}</tva>"
        f"<poids_g>{100 + number % 900}</poids_g>{f'<composants>{parts}</composants>' if is_kit else ''}"
        "<modifie>2026-05-17T22:15:30Z</modifie></article>\n"
    )


if __name__ == "__main__":
    main()
