"""`make live` finds its tests, for every kind of shop, and the pages name the variables that they read."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.connectors.live.test_live import MODELS, connector_of, declared, missing_variables, stream_names

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
GIVEN = {
    "ETALON_LIVE_PRESTASHOP_URL": "https://shop.example",
    "ETALON_LIVE_PRESTASHOP_KEY": "WSKEY_DUMMY",
    "ETALON_LIVE_PRESTASHOP_LANGUAGE_ID": "2",
}


def test_the_kinds_are_those_of_the_shops_we_know() -> None:
    assert {"prestashop", "woocommerce"} <= set(MODELS)
    assert "files" not in MODELS
    for kind in MODELS:
        assert "orders" in stream_names(kind)


def test_make_live_selects_every_stream() -> None:
    recipe = re.search(r"^live:.*\n\t\$\(BIN\)/python -m (pytest .+)$", MAKEFILE, re.MULTILINE)
    assert recipe is not None
    arguments = recipe[1].replace("$(SYSTEM)", "prestashop").split()
    found = subprocess.run(
        [sys.executable, "-m", *arguments, "--collect-only", "-q", "-p", "no:cacheprovider"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert found.returncode == 0, found.stdout
    collected = re.findall(r"test_live\.py::(\S+)", found.stdout)
    assert set(collected) == {
        *(f"test_stream[prestashop-{stream}]" for stream in stream_names("prestashop")),
        "test_access[prestashop]",
    }


def test_a_shop_is_declared_by_its_variables() -> None:
    assert missing_variables("woocommerce", GIVEN) == [
        f"ETALON_LIVE_WOOCOMMERCE_{key}" for key in ("URL", "KEY", "SECRET")
    ]
    assert missing_variables("prestashop", GIVEN) == []
    assert declared("prestashop", GIVEN) == {
        "url": "https://shop.example",
        "key": "WSKEY_DUMMY",
        "language_id": "2",
    }
    assert connector_of("prestashop", declared("prestashop", GIVEN)).system_code == "shop"


@pytest.mark.parametrize(
    "page", [MAKEFILE, (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")], ids=["make", "page"]
)
def test_the_variables_are_named_where_one_looks(page: str) -> None:
    for kind in ("prestashop", "woocommerce"):
        for name in missing_variables(kind, {}):
            assert name in page or name.rpartition("_")[2] in page
        assert f"ETALON_LIVE_{kind.upper()}_URL" in page
