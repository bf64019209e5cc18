"""The report: its words, its figures, and the page itself as a browser shows it without a network."""

from __future__ import annotations

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from assets.publication import publication_steps
from orchestration.published_server import serve_published
from resources.report import build_report
from resources.report.data import read_report_data
from resources.report.page import _cell, _money, _share
from resources.report.words import COLUMNS, LANGUAGES, REASONS, WORDS
from resources.settings import Settings
from tests.orchestration.small import small_runtime
from tests.report.published import publish_sample


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    return build_report(publish_sample(folder / "bi.duckdb"), folder / "report.html", cache_dir=folder / "cache")


def browse(chromium: Path, page: str, profile: Path) -> str:
    """The page's document after its scripts ran, with no host but this machine reachable: it must work offline."""
    command = [
        str(chromium), "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", f"--user-data-dir={profile}", "--virtual-time-budget=10000",
        "--dump-dom", page,
    ]  # fmt: skip
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


@pytest.mark.parametrize(("fragment", "language", "number"), [("", "fr", "90,0"), ("#en", "en", "90.0%")])
def test_the_page_draws_every_chart_offline(
    report: Path, chromium: Path, tmp_path: Path, fragment: str, language: str, number: str
) -> None:
    document = browse(chromium, f"{report.as_uri()}{fragment}", tmp_path / "profile")
    assert f'data-drawn="{language}"' in document
    # Six trends and five break-downs (k3b is not measurable): each drawn as an SVG by the chart library inside the page.
    assert len(re.findall(r'<svg[^>]+class="marks"', document)) == 11
    assert number in document


def test_a_browser_opens_the_page_that_the_ui_serves(report: Path, chromium: Path, tmp_path: Path) -> None:
    """The link in the metadata: a browser does not follow a file link from the UI's page."""
    with serve_published(report.parent, 0) as address:
        document = browse(chromium, f"{address}/{report.name}#en", tmp_path / "profile")
    assert 'data-drawn="en"' in document
    assert len(re.findall(r'<svg[^>]+class="marks"', document)) == 11


def test_its_asset_links_to_where_it_is_served(settings: Settings) -> None:
    settings.published_dir.mkdir(parents=True)
    publish_sample(settings.bi_path)
    runtime = small_runtime(replace(settings, report_url="http://127.0.0.1:3456"))
    publishing = {step.name: step.publish for step in publication_steps(runtime)}
    assert publishing["report"](runtime)["open"].value == "http://127.0.0.1:3456/report.html"


def test_the_page_asks_no_other_host(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    assert not re.findall(r"<script[^>]+src=", html)
    # The chart library holds such texts as strings; only what the page itself says is asked for.
    markup = re.sub(r"(?s)<script.*?</script>", "", html)
    assert not re.findall(r"<(?:link|img|iframe)[^>]+(?:src|href)=", markup)


def test_a_product_name_cannot_break_out_of_the_page(report: Path) -> None:
    html = report.read_text(encoding="utf-8")
    assert "<b>x</b>" not in html
    assert "Bougie &lt;/script&gt;" in html


def test_a_kpi_under_its_coverage_is_not_measurable_and_never_good(tmp_path: Path) -> None:
    data = read_report_data(publish_sample(tmp_path / "bi.duckdb"))
    by_code = {kpi.kpi_code: kpi for kpi in data.kpis}
    assert (by_code["k3b"].value, by_code["k3b"].status) == (None, "not_measurable")
    assert by_code["k1a"].status == "alert"  # 90 % with an alert at 90 %
    assert by_code["k2"].status == "watch"  # 92 %, target 95 %, alert 90 %
    assert by_code["k3a"].status == "alert"  # 93 % returned, and low is better
    assert by_code["k1a"].exclusions == (("count_on_suspicion", 12),)


def test_the_report_is_rebuilt_from_the_newest_published_copy(tmp_path: Path) -> None:
    path = publish_sample(tmp_path / "bi.duckdb", days=3)
    assert read_report_data(path).kpis[0].trend.height == 3
    publish_sample(tmp_path / "next.duckdb", days=5).replace(path)
    assert read_report_data(path).kpis[0].trend.height == 5


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (_share(0.9131, "fr"), "91,3\u00a0%"),
        (_share(0.9131, "en"), "91.3%"),
        (_share(None, "fr"), "–"),
        (_money(123456, "fr"), "1\u202f234,56"),
        (_money(-5, "en"), "-0.05"),
        (_cell(None, "fr", None), "–"),  # type: ignore[arg-type]
        (_cell(True, "fr", None), "oui"),  # type: ignore[arg-type]
    ],
)
def test_figures_are_written_as_each_language_writes_them(shown: str, expected: str) -> None:
    assert shown == expected


def test_every_word_exists_in_both_languages() -> None:
    for table in (WORDS, COLUMNS, REASONS):
        for key, translations in table.items():
            assert len(translations) == len(LANGUAGES), key
            assert all(translations), key


def test_every_reason_that_a_kpi_may_give_has_its_words(project_root: Path) -> None:
    given = {
        value
        for path in (project_root / "dbt_like_sql" / "kpis").glob("*.yml")
        for check in yaml.safe_load(path.read_text(encoding="utf-8")).get("checks", ())
        if check["kind"] == "accepted_values" and check["column"] == "exclusion_reason"
        for value in check["values"]
    }
    assert "no_handover_record" in given
    assert given <= set(REASONS), sorted(given - set(REASONS))
