"""The write side of the PrestaShop connector: what is asked is sorted by subject, cut into requests, and answered item by item."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial

from resources.connectors.prestashop.lanes import Lanes, Turns
from resources.connectors.prestashop.write_facts import WriteFacts
from resources.connectors.prestashop.write_items import is_item, item_of, together
from resources.connectors.prestashop.write_orders import write_shipments
from resources.connectors.prestashop.write_prices import PriceWriter
from resources.connectors.prestashop.write_results import failed, refused
from resources.connectors.prestashop.write_rows import Traffic
from resources.connectors.prestashop.write_stock import write_stock
from resources.connectors.sdk.writing import Write, WriteResult
from resources.errors import EtalonError, PermanentError, RetryableError

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
_Chunk = tuple[Sequence[Write], Callable[[Sequence[Write]], list[WriteResult]]]
_Job = Callable[[], list[WriteResult]]


class PrestaShopWriter:
    """Writes into one shop."""

    def __init__(self, facts: WriteFacts, workers: int) -> None:
        self._facts = facts
        self._lanes = Lanes(workers)
        self._turns = Turns()

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
        traffics = {subject: Traffic() for subject, held in by_subject.items() if held}
        jobs: list[_Job] = []
        for subject, traffic in traffics.items():
            try:
                # the shop's settings are read here: what they raise is raised before anything is sent
                chunks = list(self._chunks(subject, by_subject[subject], now, traffic))
            except PermanentError as error:
                # what one subject lacks (a right of the key, a rate) holds no other back
                traffic.error = error
                jobs.append(partial(_all_failed, by_subject[subject], error))
            else:
                jobs += [self._job(chunk, subject, traffics) for chunk in chunks]
        for written in self._lanes.run(jobs):
            for result in written:
                place = int(result.key)
                results[place] = replace(result, key=writes[place].key)
        stopped = next((traffic.error for traffic in traffics.values() if traffic.error is not None), None)
        if (
            stopped is not None
            and not any(traffic.is_sent for traffic in traffics.values())
            and all(result.outcome in ("retry", "refused") for result in results.values())
        ):
            raise stopped
        return [results[place] for place in range(len(writes))]

    def _chunks(self, subject: str, writes: Sequence[Write], now: datetime, traffic: Traffic) -> Iterable[_Chunk]:
        client = self._facts.client
        home = self._facts.home(now)
        if subject == "stock":
            for chunk in together(writes, lambda write: item_of(write.external_id)[0], STOCK_ROWS):
                yield chunk, lambda held: write_stock(client, home, held, traffic)
        elif subject == "price":
            facts = self._facts.prices(now)
            prices = PriceWriter(client, home, facts, self._facts.zone, now, traffic, self._lanes, self._turns)
            for chunk in together(writes, lambda write: item_of(write.external_id)[0], PRICE_ROWS):
                yield chunk, prices.write
        else:
            states = self._facts.states(now)
            for chunk in together(writes, lambda write: write.external_id, ORDER_ROWS):
                yield chunk, lambda held: write_shipments(client, states, held, traffic, self._lanes)

    @staticmethod
    def _job(chunk: _Chunk, subject: str, traffics: Mapping[str, Traffic]) -> _Job:
        writes, write = chunk

        def run() -> list[WriteResult]:
            error = _stopping(subject, traffics)
            return write(writes) if error is None else _all_failed(writes, error)

        return run


def _stopping(subject: str, traffics: Mapping[str, Traffic]) -> EtalonError | None:
    """Why no more of a subject is tried: its own error, or a shop that does not answer, on which each would wait as long."""
    own = traffics[subject].error
    others = (traffic.error for traffic in traffics.values())
    return own or next((error for error in others if isinstance(error, RetryableError)), None)


def _all_failed(writes: Sequence[Write], error: EtalonError) -> list[WriteResult]:
    return [failed(write, error) for write in writes]


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
