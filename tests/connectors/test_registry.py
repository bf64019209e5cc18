"""A new kind of system is a module: what is wrong with it is told in words."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from resources import connectors
from resources.connectors.registry import connector_modules
from resources.errors import ConfigurationError
from resources.retailer import load_retailer

ROOT = Path(__file__).parents[2]
Add = Callable[[str, str], None]


@pytest.fixture
def add(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Add]:
    """Adds a module to the connectors, for one test."""
    added: list[str] = []

    def write(name: str, text: str) -> None:
        (tmp_path / f"{name}.py").write_text(text)
        added.append(f"{connectors.__name__}.{name}")

    monkeypatch.setattr(connectors, "__path__", [*connectors.__path__, str(tmp_path)])
    connector_modules.cache_clear()
    yield write
    connector_modules.cache_clear()
    for module in added:
        sys.modules.pop(module, None)
        vars(connectors).pop(module.rpartition(".")[2], None)


def test_a_module_with_a_kind_is_found(add: Add) -> None:
    add("kiosk", 'KIND = "kiosk"\n')
    assert connector_modules()["kiosk"].__name__ == "resources.connectors.kiosk"


def test_a_module_is_named_after_its_kind(add: Add) -> None:
    add("booth", 'KIND = "kiosk"\n')
    with pytest.raises(
        ValueError, match=r"resources\.connectors\.booth declares the kind kiosk: name the module after"
    ):
        connector_modules()


def test_a_kind_without_its_keys_is_told(add: Add, tmp_path: Path) -> None:
    add("bare", 'KIND = "bare"\n')
    text = (ROOT / "retailer.yaml").read_text(encoding="utf-8")
    path = tmp_path / "retailer.yaml"
    path.write_text(text.replace("kind: woocommerce", "kind: bare"), encoding="utf-8")
    names = ("DROPS", "SHOP_FR_URL", "SHOP_FR_KEY", "SHOP_BE_URL", "SHOP_BE_KEY", "SHOP_BE_SECRET")
    with pytest.raises(ConfigurationError, match="bare has no class Config that extends SystemConfig"):
        load_retailer(path, {f"ETALON_{name}": "https://shop.example" for name in names})
