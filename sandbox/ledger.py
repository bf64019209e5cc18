"""What the retailer's goods did since the world was invented: sales at the tills, parcels that left, orders that the ERP booked.

Belongs here: the numbers that the ERP's stock file is made of. Who books what, and the files, are elsewhere.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from sandbox.world import World
from sandbox.world.dice import INSTANT
from sandbox.world.stock import exploded, levels_of

JUST_NOW = {"warehouse": 0, "store": 0, "stale": 0}
_MOVE = {"location": pl.String, "item": pl.Int64, "quantity": pl.Int64}


@dataclass(frozen=True)
class Units:
    """Units of one article at one place. Kits are kits here; the book holds their components."""

    location: str
    item: int
    quantity: int


class Ledger:
    """The world's stock, carried on. Safe to use from several threads."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._lock = threading.Lock()
        self._moves: list[tuple[str, int, int, datetime]] = []
        self._committed: dict[object, tuple[Units, ...]] = {}

    def sell(self, units: Sequence[Units], *, at: datetime) -> None:
        """Goods leave: at a till, or in a parcel."""
        with self._lock:
            self._moves += [(u.location, u.item, -u.quantity, at) for u in units]

    def commit(self, key: object, units: Sequence[Units]) -> None:
        """The ERP books an order: its units are promised."""
        with self._lock:
            self._committed[key] = tuple(units)

    def release(self, key: object) -> None:
        """An order's units are not promised any more: they left, or the order is off."""
        with self._lock:
            self._committed.pop(key, None)

    def levels(self, now: datetime) -> pl.DataFrame:
        """The ERP's stock as it is now; columns as in the world's `stock.levels`."""
        world = self._world
        with self._lock:
            moves = pl.DataFrame(self._moves, schema={**_MOVE, "at": INSTANT}, orient="row")
            promised = pl.DataFrame(
                [(u.location, u.item, u.quantity) for units in self._committed.values() for u in units],
                schema=_MOVE,
                orient="row",
            )
        tracked = world.stock.levels.select("location", "item")
        moved = exploded(moves, world.catalogue).join(tracked, on=["location", "item"])
        movements = pl.concat(
            [
                world.stock.movements.select("location", "item", "kind", "quantity", "at"),
                moved.select("location", "item", pl.lit("sale").alias("kind"), "quantity", "at"),
            ]
        )
        now_levels = levels_of(
            world.seed,
            world.catalogue,
            tracked,
            movements,
            world.orders,
            world.lines,
            world.shipments,
            world.shipment_lines,
            world.stock.acknowledgements,
            now,
            JUST_NOW,
        )
        more = (
            exploded(promised, world.catalogue)
            .group_by("location", "item")
            .agg(pl.col("quantity").sum().alias("promised"))
        )
        return (
            now_levels.join(more, on=["location", "item"], how="left", maintain_order="left")
            .with_columns(pl.col("promised").fill_null(0))
            .with_columns(
                (pl.col("committed") + pl.col("promised")).alias("committed"),
                pl.when("is_net").then(pl.col("on_hand") - pl.col("promised")).otherwise("on_hand").alias("on_hand"),
            )
            .drop("promised")
        )


def items_by_sku(world: World) -> Mapping[str, int]:
    """Article of each SKU of the ERP; of a SKU that two articles carry, the first."""
    rows = world.catalogue.items.filter(pl.col("sku").is_not_null()).unique("sku", keep="first", maintain_order=True)
    return dict(zip(rows["sku"].to_list(), rows["item"].to_list(), strict=True))
