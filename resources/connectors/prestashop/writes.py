"""The write side of the PrestaShop connector: what is asked is sorted by subject, cut into requests, and answered item by item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from resources.connectors.prestashop.lanes import Lanes
from resources.connectors.prestashop.write_facts import WriteFacts
from resources.connectors.prestashop.write_items import is_item, item_of, together
from resources.connectors.prestashop.write_orders import write_shipments
from resources.connectors.prestashop.write_prices import PriceWriter
from resources.connectors.prestashop.write_results import failed, refused
from resources.connectors.prestashop.write_rows import Traffic
from resources.connectors.prestashop.write_stock import write_stock
from resources.connectors.sdk.writing import Write, WriteResult

# rows of one request: each makes the shop run its hooks, and a request that takes longer than the time-out tells nothing
STOCK_ROWS = 50
PRICE_ROWS = 20
ORDER_ROWS = 20
_SUBJECTS = {
    ("channel_stock", "published_qty"): "stock",
    ("channel_price", "regular_minor"): "price",
    ("channel_price", "promotion"): "price",
    ("channel_price", "is_published"): "price",
    ("order", "shipment"): "shipment",
}
_Chunk = tuple[list[Write], Callable[[Sequence[Write]], list[WriteResult]]]


class PrestaShopWriter:
    """Writes into one shop."""

    def __init__(self, facts: WriteFacts, workers: int) -> None:
        self._facts = facts
        self._lanes = Lanes(workers)

    def write(self, writes: Sequence[Write], *, now: datetime) -> list[WriteResult]:
        """Compare, write, read back; as `WritingConnector.write` promises."""
        results: dict[int, WriteResult] = {}
        by_subject: dict[str, list[Write]] = {"stock": [], "price": [], "shipment": []}
        seen: set[tuple[str, ...]] = set()
        for place, write in enumerate(writes):
            problem = _problem(write, seen)
            if problem:
                results[place] = refused(write, problem)
            else:
                # known by their places here: nothing is asked of the caller's keys
                by_subject[_SUBJECTS[write.entity, write.attribute]].append(replace(write, key=str(place)))
        traffic = Traffic()
        # the shop's settings are read here: what they raise is raised before anything is sent
        chunks = [
            chunk for subject, held in by_subject.items() if held for chunk in self._chunks(subject, held, now, traffic)
        ]
        for written in self._lanes.run([self._job(chunk, traffic) for chunk in chunks]):
            for result in written:
                place = int(result.key)
                results[place] = replace(result, key=writes[place].key)
        if (
            traffic.error is not None
            and not traffic.is_sent
            and all(result.outcome in ("retry", "refused") for result in results.values())
        ):
            raise traffic.error
        return [results[place] for place in range(len(writes))]

    def _chunks(self, subject: str, writes: Sequence[Write], now: datetime, traffic: Traffic) -> Iterable[_Chunk]:
        client = self._facts.client
        home = self._facts.home(now)
        if subject == "stock":
            for chunk in together(writes, lambda write: item_of(write.external_id)[0], STOCK_ROWS):
                yield chunk, lambda held: write_stock(client, home, held, traffic)
        elif subject == "price":
            prices = PriceWriter(client, home, self._facts.prices(now), self._facts.zone, now, traffic, self._lanes)
            for chunk in together(writes, lambda write: item_of(write.external_id)[0], PRICE_ROWS):
                yield chunk, prices.write
        else:
            states = self._facts.states(now)
            for chunk in together(writes, lambda write: write.external_id, ORDER_ROWS):
                yield chunk, lambda held: write_shipments(client, states, held, traffic, self._lanes)

    @staticmethod
    def _job(chunk: _Chunk, traffic: Traffic) -> Callable[[], list[WriteResult]]:
        writes, write = chunk

        def run() -> list[WriteResult]:
            if traffic.error is not None:
                # the shop does not answer: the others are not asked for, each would wait as long
                return [failed(waiting, traffic.error) for waiting in writes]
            return write(writes)

        return run


def _problem(write: Write, seen: set[tuple[str, ...]]) -> str:
    """Why a write cannot even be tried; empty: it can."""
    if (write.entity, write.attribute) not in _SUBJECTS:
        return f"PrestaShop does not take {write.entity}.{write.attribute}"
    if write.location_code:
        return f"PrestaShop keeps one quantity for all places, not one of {write.location_code}"
    if write.entity == "order":
        if not write.external_id.isdecimal() or not int(write.external_id):
            return f"{write.external_id!r} is no order of PrestaShop"
    elif not is_item(write.external_id):
        return f"{write.external_id!r} is no item of PrestaShop: a product is 12, one of its combinations 12-34"
    target = (write.entity, write.external_id, write.attribute)
    if target in seen:
        return "the same value is asked twice in one call: ask for the last one only"
    seen.add(target)
    return ""
