"""What a trouble touches, on the project's own graph of assets."""

from __future__ import annotations

import dagster as dg
import pytest

from assets.impact import AssetImpact
from assets.runtime import build_runtime
from orchestration.definitions import asset_impact
from resources.operations.incidents import Impact, Signal
from resources.settings import Settings
from resources.sql_project import SqlProject
from tests.incidents.world import START
from tests.orchestration.test_asset_keys import ROOT
from tests.retailer.declared import VARIABLES


@pytest.fixture(scope="module")
def impact(sql_project: SqlProject) -> AssetImpact:
    environ = {**VARIABLES, "ETALON_SECRET_KEY": "00" * 32, "ETALON_DATA_DIR": "/nonexistent/data"}
    return asset_impact(build_runtime(Settings.from_environment(environ, ROOT), project=sql_project))


CASES = {
    # origin: (KPIs it touches, KPIs it does not, some of the rest)
    "shop_fr/orders": ("k2 k3a", "k1a", "sales_order unacknowledged_line"),
    "carrier/carrier_scans": ("k2", "k1a k1b k4", "shipment"),
    "counts/stock_counts": ("k1a", "k1b k2 k3a k4", "stock_count_line"),
    "erp/erp_stock": ("k1a k1b", "k2 k3a k3b k4", "stock_position"),
    "erp/erp_prices": ("k4", "k1a k2 k3a k3b", "price"),
    "wms/wms_returns": ("k3a k3b", "k1a k4", "return_line"),
}


@pytest.mark.parametrize("origin", CASES)
def test_a_broken_stream_touches_what_is_made_of_it(impact: AssetImpact, origin: str) -> None:
    touched, spared, referentials = (set(names.split()) for names in CASES[origin])
    found = impact.downstream((origin,))
    assert touched <= set(found.kpis)
    assert not spared & set(found.kpis)
    assert referentials <= set(found.referentials)
    assert {f"kpis.{kpi}_worklist" for kpi in touched - {"k1a", "k3a"}} <= set(found.work_lists)
    assert "bi" in found.publications


def test_orders_and_stock_touch_what_the_web_channels_show(impact: AssetImpact) -> None:
    for origin in ("shop_fr/orders", "erp/erp_stock"):
        assert {"web-fr", "web-be"} <= set(impact.downstream((origin,)).channels)
    assert impact.downstream(("counts/stock_counts",)).channels == ()


def test_a_failed_step_touches_what_comes_after_it(impact: AssetImpact) -> None:
    assert impact.downstream(("step:read_carrier",)) == impact.downstream(("carrier/carrier_scans",))
    assert set(impact.downstream(("step:build_kpis",)).kpis) == {"k1a", "k1b", "k2", "k3a", "k3b", "k4"}
    assert impact.downstream(("step:no_such_step", "job:nightly_full")) == Impact()


def test_what_a_signal_names_itself_is_added(impact: AssetImpact) -> None:
    signal = Signal(
        "write_refused", "error", "shop_fr", "no", "mend it", START,
        origins=("sync/web-fr/receipts",), touches=Impact(kpis=("k1b",), channels=("web-fr",)),
    )  # fmt: skip
    assert (impact(signal).kpis, impact(signal).channels) == (("k1b",), ("web-fr",))


def test_it_is_told_in_one_line() -> None:
    assert str(Impact(kpis=("k2", "k3a"), channels=("web-fr",))) == "kpis k2, k3a; channels web-fr"


def test_a_diamond_is_walked_once() -> None:
    def asset(key: str, *deps: str) -> dg.AssetsDefinition:
        @dg.asset(key=key.split("/"), deps=[dep.split("/") for dep in deps])
        def made() -> None: ...

        return made

    found = AssetImpact(
        [
            asset("canonical/order", "shop/orders"),
            asset("referentials/a", "canonical/order"),
            asset("referentials/b", "canonical/order"),
            asset("kpis/k2_value", "referentials/a", "referentials/b"),
        ]
    ).downstream(("shop/orders",))
    assert (found.entities, found.referentials, found.kpis) == (("order",), ("a", "b"), ("k2",))
