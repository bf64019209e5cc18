"""Writes regular prices, promotions and publication: everything that hangs on a product, product by product.

A product without combinations has its price; a combination's is an impact on its product's, so only the impact is written, and a
product with combinations is never given a price. Prices go first and are read back, promotions are computed from what is there then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from resources.connectors.prestashop.catalogue import (
    COMBINATION_DECODER,
    PRICE_FIELDS,
    PRODUCT_DECODER,
)
from resources.connectors.prestashop.client import PrestaShopClient, filters_on
from resources.connectors.prestashop.lanes import Lanes, Turns
from resources.connectors.prestashop.price_facts import PriceFacts
from resources.connectors.prestashop.prices import (
    Item,
    quote,
)
from resources.connectors.prestashop.rows import Combination, Product, SpecificPrice
from resources.connectors.prestashop.write_facts import Home
from resources.connectors.prestashop.write_items import item_of
from resources.connectors.prestashop.write_promotions import (
    Plan,
    Promotion,
    is_own,
    plan_promotion,
    read_promotion,
)
from resources.connectors.prestashop.write_results import (
    failed,
    left_alone,
    not_read_back,
    refused,
    refused_as_found,
    same,
    shown,
    words,
    written,
)
from resources.connectors.prestashop.write_rows import Fate, Row, Traffic, delete_rows, looked_behind, send_rows
from resources.connectors.prestashop.write_shelf import COMBINATION_FIELDS, Shelf, ShelfReader
from resources.connectors.sdk.decode import MICRO_DIGITS, minor_exponent, scaled_int
from resources.connectors.sdk.writing import JsonValue, Write, WriteResult
from resources.errors import EtalonError, PermanentError


@dataclass
class Job:
    """One write on its way: what was found, what became of the sending, and the result once it is known."""

    write: Write
    found: JsonValue = None
    fate: Fate | None = None
    result: WriteResult | None = None


class PriceWriter:
    """Writes prices, promotions and publication of one chunk of products."""

    def __init__(
        self,
        client: PrestaShopClient,
        home: Home,
        facts: PriceFacts,
        zone: ZoneInfo,
        now: datetime,
        traffic: Traffic,
        lanes: Lanes,
        turns: Turns,
    ) -> None:
        self._client = client
        self._home = home
        self._facts = facts
        self._zone = zone
        self._now = now
        self._traffic = traffic
        self._turns = turns
        self._shelves = ShelfReader(client, facts, zone, now, lanes)

    def write(self, writes: Sequence[Write]) -> list[WriteResult]:
        """Write what is asked of some products. Everything of a product is in one call."""
        jobs = [Job(write) for write in writes]
        product_ids = {item_of(write.external_id)[0] for write in writes}
        try:
            shelf = self._shelves.shelf(product_ids)
        except EtalonError as error:
            self._traffic.error = error
            return [failed(write, error) for write in writes]
        for job in jobs:
            self._look(job, shelf)
        self._hold_below_promotions(jobs, shelf)
        open_ = [job for job in jobs if job.result is None]
        priced = [job for job in open_ if job.write.attribute in ("regular_minor", "is_published")]
        kept = self._promotions_to_keep(priced, jobs, shelf)
        if priced:
            shelf = self._send_prices(priced, jobs, shelf)
        promoted = [job for job in jobs if job.result is None and job.write.attribute == "promotion"]
        if promoted or kept:
            self._send_promotions(promoted, kept, shelf)
        return [job.result or failed(job.write, PermanentError("it was not written")) for job in jobs]

    def _look(self, job: Job, shelf: Shelf) -> None:
        """Read the present value and leave the write alone when it is so already, moved, or cannot be written."""
        write = job.write
        try:
            job.found = self._shelves.value(write, shelf)
        except PermanentError as error:
            job.result = refused(write, words(error))
            return
        is_promotion = write.attribute == "promotion"
        try:
            wanted, before = self._normal(write, write.after), self._normal(write, write.before)
        except ValueError as error:
            job.result = refused_as_found(write, job.found, str(error))
            return

        def is_expected(found: JsonValue, _: JsonValue) -> bool:
            if not is_promotion:
                return same(found, before)
            one, other = read_promotion(found), read_promotion(before)
            return one == other or (one is not None and other is not None and one.is_like(other, self._now))

        job.result = left_alone(
            replace(write, after=wanted) if is_promotion else write,
            job.found,
            same_value if is_promotion else same,
            is_expected,
        )
        if job.result is None and not is_promotion and type(write.after) is not _TYPES[write.attribute]:
            job.result = refused_as_found(write, job.found, f"{write.after!r} is no value of {write.attribute}")
        product_id, combination_id = item_of(write.external_id)
        is_price = write.attribute != "is_published"
        if job.result is None and is_price and not combination_id and shelf.combinations.get(product_id):
            reason = f"product {product_id} has combinations: its price is theirs, write the combinations"
            job.result = refused_as_found(write, job.found, reason)

    def _normal(self, write: Write, value: JsonValue) -> JsonValue:
        """A value as a reading would give it: instants in one form, and a promotion that is over is none."""
        if write.attribute != "promotion":
            return value
        promotion = read_promotion(value)
        return None if promotion is None or promotion.is_over(self._now) else promotion.value()

    # ------------------------------------------------------------ prices and publication

    def _send_prices(self, priced: Sequence[Job], jobs: Sequence[Job], shelf: Shelf) -> Shelf:
        """Write prices and publication, read back, settle. Gives what the shop holds then."""
        fields: dict[tuple[str, int], dict[str, str]] = {}
        of_row: dict[str, tuple[str, int]] = {}
        for job in priced:
            try:
                place, values = self._fields(job.write, jobs, shelf)
            except PermanentError as error:
                job.result = refused_as_found(job.write, job.found, words(error))
                continue
            fields.setdefault(place, {"id": str(place[1])}).update(values)
            of_row[job.write.key] = place
        sent = [job for job in priced if job.result is None]
        if not sent:
            return shelf
        fates: dict[tuple[str, int], Fate] = {}
        for resource in ("products", "combinations"):
            rows = [Row(str(place[1]), values) for place, values in fields.items() if place[0] == resource]
            for key, fate in self._sent(resource, rows).items():
                fates[resource, int(key)] = fate
        for job in sent:
            job.fate = fates[of_row[job.write.key]]
        try:
            after = replace(shelf)
            if any(resource == "products" for resource, _ in fields):
                after.products = self._shelves.products(sorted(shelf.products))
            if any(resource == "combinations" for resource, _ in fields):
                after.combinations = self._shelves.combinations(sorted(shelf.products))
        except EtalonError as error:
            self._traffic.error = error
            for job in sent:
                job.result = not_read_back(job.write, job.found, job.fate or Fate(), error)
            return shelf
        for job in sent:
            try:
                value = self._shelves.value(job.write, after)
            except PermanentError as error:
                job.result = not_read_back(job.write, job.found, job.fate or Fate(), error)
            else:
                job.result = written(job.write, job.found, job.fate or Fate(), value, same)
        return after

    def _sent(self, resource: str, rows: Sequence[Row]) -> dict[str, Fate]:
        def done(waiting: Sequence[Row]) -> set[str]:
            held: dict[int, Product | Combination] = {}
            for asked in filters_on("id", [int(row.key) for row in waiting]):
                if resource == "products":
                    products = self._shelves.rows(resource, PRODUCT_DECODER, asked, PRICE_FIELDS)
                    held.update((row.id, row) for row in products.decoded.rows)
                else:
                    combinations = self._shelves.rows(resource, COMBINATION_DECODER, asked, COMBINATION_FIELDS)
                    held.update((row.id, row) for row in combinations.decoded.rows)
            return {row.key for row in waiting if int(row.key) in held and _holds(held[int(row.key)], row.fields)}

        return send_rows(self._client, resource, "PATCH", rows, done, self._traffic) if rows else {}

    def _fields(self, write: Write, jobs: Sequence[Job], shelf: Shelf) -> tuple[tuple[str, int], dict[str, str]]:
        """The row to change and its new fields. Raises PermanentError when the shop cannot hold the value."""
        product_id, combination_id = item_of(write.external_id)
        if write.attribute == "is_published":
            return ("products", product_id), self._publication(write, jobs, shelf)
        item = shelf.item(write.external_id, self._facts.tax_rates_bp)
        net = self._net(item, int(write.after), shelf)  # type: ignore[arg-type]
        if combination_id:
            return ("combinations", combination_id), {"price": _six(net - item.price)}
        if net < 0:
            raise PermanentError("the price without tax would be below zero: the ecotax is more than the price")
        return ("products", product_id), {"price": _six(net)}

    def _net(self, item: Item, minor: int, shelf: Shelf) -> int:
        """The price without tax, in 1e-8 of the unit with six decimals, that is shown as ``minor``. Raises PermanentError for none."""
        if minor < 0:
            raise PermanentError(f"{minor} is no price")
        terms = self._shelves.terms(shelf)
        unit = 10**MICRO_DIGITS
        share = 100 * unit - terms.group_reduction
        if share <= 0:
            raise PermanentError("the visitors' group has everything off: no price can be shown")
        # shown = (net (1 + rate) + ecotax (1 + its rate)) (1 - the group's reduction)
        gross = minor * int(10 ** (MICRO_DIGITS - minor_exponent(terms.currency_code))) * 10_000 * 100 * unit
        ecotax = item.ecotax * (10_000 + (terms.ecotax_rate_bp or 0))
        step = int(10 ** (MICRO_DIGITS - 6))
        numerator, denominator = gross - ecotax * share, share * (10_000 + item.rate_bp) * step
        # what the row of the product adds has to be taken off in whole steps too
        net = _half_up(numerator, denominator) * step
        seen = quote(replace(item, price=net, impact=0), [], terms).regular_minor
        if seen != minor:
            raise PermanentError(f"no price with six decimals is shown as {minor}: the nearest shows {seen}")
        return net

    def _publication(self, write: Write, jobs: Sequence[Job], shelf: Shelf) -> dict[str, str]:
        product_id, combination_id = item_of(write.external_id)
        product = shelf.products[product_id]
        if combination_id:
            alike = {
                item_of(job.write.external_id)[1]
                for job in jobs
                if job.write.attribute == "is_published"
                and item_of(job.write.external_id)[0] == product_id
                and job.write.after == write.after
            }
            others = sorted(set(shelf.combinations[product_id]) - alike)
            if others and 0 not in alike:
                raise PermanentError(
                    f"a combination is published or hidden with its whole product {product_id}: "
                    f"combinations {', '.join(map(str, others[:5]))} are to stay as they are"
                )
        if write.after is True:
            if product.state != "1":
                raise PermanentError(f"product {product_id} is a draft of the back office: save it there first")
            shows = {} if product.available_for_order == "1" else {"available_for_order": "1"}
            return {"active": "1", **shows}
        return {"active": "0"}

    # ------------------------------------------------------------ promotions

    def _hold_below_promotions(self, jobs: Sequence[Job], shelf: Shelf) -> None:
        """Hold prices back that are not above the item's own promotion: an amount off would then be taken off the lower price.

        They may be written once the promotion is changed, which another write may be about to do.
        """
        asked = {
            job.write.external_id: job for job in jobs if job.write.attribute == "promotion" and job.result is None
        }
        for job in jobs:
            if job.write.attribute != "regular_minor" or job.result is not None:
                continue
            changing = asked.get(job.write.external_id)
            if changing is not None:
                promotion = read_promotion(self._normal(changing.write, changing.write.after))
            else:
                promotion = self._own_promotion(job.write.external_id, shelf)
            price = job.write.after
            if promotion is not None and isinstance(price, int) and 0 <= price <= promotion.minor:
                reason = f"it is not above the item's promotion of {promotion.minor}: clear or lower that first"
                job.result = WriteResult(job.write.key, "retry", found=job.found, is_found=True, reason=reason)

    def _own_promotion(self, external_id: str, shelf: Shelf) -> Promotion | None:
        """The promotion that runs or comes, when it is of the item alone: others go with the price, as they were made to."""
        row = self._shelves.quote(external_id, shelf).promotion
        item = shelf.item(external_id, self._facts.tax_rates_bp)
        return self._shelves.promotion(external_id, shelf) if row is not None and self._is_own(row, item) else None

    def _promotions_to_keep(
        self, priced: Sequence[Job], jobs: Sequence[Job], shelf: Shelf
    ) -> dict[str, tuple[Job, Promotion]]:
        """Promotions of items whose regular price is about to change and whose promotion is not: an amount off would move with it."""
        asked = {job.write.external_id for job in jobs if job.write.attribute == "promotion" and job.result is None}
        kept = {}
        for job in priced:
            external_id = job.write.external_id
            if job.write.attribute == "regular_minor" and external_id not in asked:
                promotion = self._shelves.promotion(external_id, shelf)
                if promotion is not None:
                    kept[external_id] = (job, promotion)
        return kept

    def _send_promotions(
        self,
        promoted: Sequence[Job],
        kept: Mapping[str, tuple[Job, Promotion]],
        shelf: Shelf,
    ) -> None:
        plans: dict[str, Plan] = {}
        for job in promoted:
            wanted = read_promotion(self._normal(job.write, job.write.after))
            plan = self._plan(job.write.external_id, wanted, shelf)
            if plan.refused:
                job.result = refused_as_found(job.write, job.found, plan.refused)
            else:
                plans[job.write.external_id] = plan
        for external_id, (job, promotion) in kept.items():
            if job.result is None or job.result.outcome != "applied":
                continue
            if self._still_shows(external_id, promotion, shelf):
                continue
            plan = self._plan(external_id, promotion, shelf)
            if plan.post is not None:
                plan = Plan(refused="it is not this item's alone")
            if plan.refused:
                self._tell_moved(job, shelf, plan.refused)
            else:
                plans[external_id] = plan
        if not plans:
            return
        fates = self._send_plans(plans)
        try:
            after = replace(shelf, specific=self._shelves.specific(sorted(shelf.products)))
        except EtalonError as unread:
            self._traffic.error = unread
            for job in promoted:
                if job.result is None:
                    job.result = not_read_back(job.write, job.found, fates[job.write.external_id], unread)
            return
        for job in promoted:
            if job.result is not None:
                continue
            fate = fates[job.write.external_id]
            wanted_value = replace(job.write, after=self._normal(job.write, job.write.after))
            try:
                value = self._shelves.value(job.write, after)
            except PermanentError as error:
                job.result = not_read_back(job.write, job.found, fate, error)
            else:
                job.result = written(wanted_value, job.found, fate, value, same_value)
        for external_id, (job, promotion) in kept.items():
            if external_id in plans and not self._still_shows(external_id, promotion, after):
                problem = fates[external_id].error
                self._tell_moved(job, after, words(problem) if problem else "the shop said yes")

    def _tell_moved(self, job: Job, shelf: Shelf, why: str) -> None:
        """Say with a price's result that the promotion went with it: the next plan sees it."""
        try:
            promotion = self._shelves.promotion(job.write.external_id, shelf)
        except PermanentError as error:
            to = words(error)
        else:
            to = shown(None if promotion is None else promotion.value())
        if job.result is not None:
            job.result = replace(job.result, reason=f"its promotion moved with it to {to}: {why}")

    def _still_shows(self, external_id: str, promotion: Promotion, shelf: Shelf) -> bool:
        try:
            return self._shelves.promotion(external_id, shelf) == promotion
        except PermanentError:
            return False

    def _plan(self, external_id: str, wanted: Promotion | None, shelf: Shelf) -> Plan:
        try:
            item = shelf.item(external_id, self._facts.tax_rates_bp)
        except PermanentError as error:
            return Plan(refused=words(error))
        shop_zone = self._home.shop.settings.get("PS_TIMEZONE", "")
        if wanted is not None and not wanted.is_told_alike(self._zone, shop_zone):
            return Plan(
                refused=f"the shop's time zone is {shop_zone}, retailer.yaml says {self._zone.key}: correct time_zone"
            )
        rows = shelf.specific.of(item.product_id)
        own = [row for row in rows if self._is_own(row, item)]
        return plan_promotion(
            item, rows, own, wanted, self._shelves.terms(shelf), self._zone, self._now, self._home.shop_id
        )

    def _is_own(self, row: SpecificPrice, item: Item) -> bool:
        return is_own(row, item, self._home.shop_id, is_one_of_several=self._home.is_one_of_several)

    def _send_plans(self, plans: Mapping[str, Plan]) -> dict[str, Fate]:
        """Change and make rows, then delete: an item is never for a moment without the promotion that it keeps.

        Nothing is made while something is deleted. Deleting looks whether any specific price is left, and switches all of them off
        when none is; one made between the look and the switch would be there and not show (SpecificPrice::delete, and
        Configuration::updateValue, which skips what was switched on already when the other request began).
        """
        fates: dict[str, Fate] = {}
        changed = [Row(key, plan.patch) for key, plan in plans.items() if plan.patch]
        made = [Row(key, plan.post) for key, plan in plans.items() if plan.post]

        def held(rows: Sequence[Row]) -> set[str]:
            public = self._shelves.specific(sorted({item_of(row.key)[0] for row in rows}))
            return {
                row.key for row in rows if any(_holds(found, row.fields) for found in public.of(item_of(row.key)[0]))
            }

        if changed:
            fates.update(send_rows(self._client, "specific_prices", "PATCH", changed, held, self._traffic))
        if made:
            with self._turns.of("make"):
                fates.update(send_rows(self._client, "specific_prices", "POST", made, held, self._traffic))
        fates = looked_behind(fates, [*changed, *made], held)
        # what is there stays until the new one is
        over = {key: plan.delete for key, plan in plans.items() if plan.delete and fates.get(key, Fate()).error is None}
        if over:
            with self._turns.of("delete"):
                for key, row_ids in over.items():
                    fates[key] = delete_rows(self._client, "specific_prices", row_ids, self._traffic)
        return {key: fates.get(key, Fate()) for key in plans}


_TYPES: Mapping[str, type] = {"regular_minor": int, "is_published": bool}


def same_value(found: JsonValue, wanted: JsonValue) -> bool:
    """Whether two promotions are the same, down to their windows; other values as they are."""
    return found == wanted


def _holds(row: Product | Combination | SpecificPrice, fields: Mapping[str, str]) -> bool:
    """Whether a row holds the fields that were sent: numbers as numbers."""
    names = {"from": "starts", "to": "ends"}
    for name, text in fields.items():
        held = str(getattr(row, names.get(name, name)))
        if held != text and (scaled_int(text) is None or scaled_int(held) != scaled_int(text)):
            return False
    return True


def _half_up(numerator: int, denominator: int) -> int:
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


def _six(scaled: int) -> str:
    """1e-8 of the unit, whole in the sixth decimal, as the shop prints it."""
    micro = _half_up(scaled, int(10 ** (MICRO_DIGITS - 6)))
    return f"{'-' if micro < 0 else ''}{abs(micro) // 10**6}.{abs(micro) % 10**6:06d}"
