"""A KPI says what it cannot see: the blind spots of the streams behind it, and of no other."""

from __future__ import annotations

from assets.blind_spots import BlindSpot, kpi_blind_spots
from resources.connectors.sdk.stream import Stream
from resources.sql_project import SqlProject
from tests.orchestration.small import MemoryConnector


def stream(name: str, *entities: str, sees_all: bool = False) -> Stream:
    spots = () if sees_all else (f"{name} is blind",)
    return Stream(
        name=name, path="/", entities=entities, keys=("id",), change_tracking="full_snapshot", blind_spots=spots
    )


def test_each_kpi_has_the_blind_spots_of_the_streams_it_is_made_from(sql_project: SqlProject) -> None:
    connectors = {
        "shop": MemoryConnector("shop", (stream("orders", "order", "order_line"), stream("prices", "channel_price"))),
        "counts": MemoryConnector("counts", (stream("counted", "stock_count_line"),)),
        "erp": MemoryConnector("erp", (stream("stock", "stock_level", sees_all=True),)),
    }
    found = kpi_blind_spots(sql_project, connectors)
    assert set(found) == {"k1a", "k1b", "k2", "k3a", "k3b", "k4"}
    orders, prices = BlindSpot("shop", "orders", "orders is blind"), BlindSpot("shop", "prices", "prices is blind")
    counted = BlindSpot("counts", "counted", "counted is blind")
    assert counted in found["k1a"]
    assert prices in found["k4"]
    assert orders in found["k2"]
    assert not {counted, prices} & set(found["k2"])
    assert counted not in {spot for code, spots in found.items() if code != "k1a" for spot in spots}


def test_without_blind_spots_nothing_is_said(sql_project: SqlProject) -> None:
    erp = MemoryConnector("erp", (stream("all", "product", "order", "stock_level", sees_all=True),))
    assert set(kpi_blind_spots(sql_project, {"erp": erp}).values()) == {()}
