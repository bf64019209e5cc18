"""Which specific prices make an item show a wanted promotion, and nothing else.

An item has at most one promotion in Étalon: the rows of its own that are not over are brought down to one, an amount off with tax. Rows
that are not the item's alone (of every product, of a group or a country, of a catalogue rule, of the whole product of a combination) are
never touched: when they show in place of what is wanted, the write is refused and says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import msgspec

from resources.connectors.prestashop.prices import NO_DATE, Item, Quote, Terms, quote, row_ends
from resources.connectors.prestashop.rows import SpecificPrice
from resources.connectors.sdk.decode import MICRO_DIGITS, minor_exponent, scaled_int
from resources.connectors.sdk.writing import JsonValue

_LOCAL = "%Y-%m-%d %H:%M:%S"
_INSTANT = "%Y-%m-%dT%H:%M:%SZ"
_NEW = -1  # the number of a row that the shop does not have yet: it is the latest


@dataclass(frozen=True)
class Promotion:
    """A promotion with its window [start, end), as instants; None: no bound."""

    minor: int
    starts_at: datetime | None
    ends_at: datetime | None

    def is_over(self, now: datetime) -> bool:
        """Whether it cannot show any more."""
        return self.ends_at is not None and self.ends_at <= now

    def is_like(self, other: Promotion, now: datetime) -> bool:
        """Whether a buyer sees the same from now on."""
        return (
            self.minor == other.minor
            and self.ends_at == other.ends_at
            and (self.starts_at == other.starts_at or (_has_begun(self, now) and _has_begun(other, now)))
        )

    def is_told_alike(self, zone: ZoneInfo, other: str) -> bool:
        """Whether its window has the same local times in another zone; an unknown zone is taken for the same."""
        if other == zone.key or other not in available_timezones():
            return True
        bounds = [bound for bound in (self.starts_at, self.ends_at) if bound is not None]
        return all(
            bound.astimezone(zone).utcoffset() == bound.astimezone(ZoneInfo(other)).utcoffset() for bound in bounds
        )

    def value(self) -> JsonValue:
        """Its canonical form."""
        return {"minor": self.minor, "starts_at": _text(self.starts_at), "ends_at": _text(self.ends_at)}


@dataclass
class Plan:
    """What to send: fields of a new row, changed fields of a row, rows to delete. ``refused``: why nothing may be sent."""

    post: Mapping[str, str] | None = None
    patch: Mapping[str, str] | None = None
    delete: list[int] = field(default_factory=list)
    refused: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is to be sent."""
        return not self.post and not self.patch and not self.delete


def read_promotion(value: JsonValue) -> Promotion | None:
    """A canonical promotion; None for none. Raises ValueError for what is not one."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r} is not a promotion")  # noqa: TRY004 - a value of the caller's, not a type of ours
    minor = value.get("minor")
    if isinstance(minor, bool) or not isinstance(minor, int) or minor < 0:
        raise ValueError(f"{minor!r} is not a price in minor units")
    starts_at, ends_at = _instant(value.get("starts_at")), _instant(value.get("ends_at"))
    if starts_at is not None and ends_at is not None and starts_at >= ends_at:
        raise ValueError("the promotion ends before it starts")
    return Promotion(minor, starts_at, ends_at)


def shown_promotion(found: Quote, zone: ZoneInfo) -> Promotion | None:
    """The promotion that a computed price shows, as it is read into `channel_price`; None when none is computed."""
    if found.promotion is None or found.promotion_minor is None:
        return None
    ends = _from_local(found.promotion.ends, zone)
    # PrestaShop sells at the reduced price up to and with that second; ours is the first second without
    return Promotion(
        found.promotion_minor,
        _from_local(found.promotion.starts, zone),
        None if ends is None else ends + timedelta(seconds=1),
    )


def is_own(row: SpecificPrice, item: Item, shop_id: int | None, *, is_one_of_several: bool) -> bool:
    """Whether a row is the public promotion of this item in this shop, and of nothing else."""
    everywhere = (row.id_cart, row.id_customer, row.id_group, row.id_currency, row.id_country, row.id_shop_group)
    return (
        (row.id_product, row.id_product_attribute) == (item.product_id, item.combination_id)
        and not any(everywhere)
        and row.from_quantity <= 1
        and row.id_specific_price_rule == 0
        and (row.id_shop == shop_id or shop_id is None or (row.id_shop == 0 and not is_one_of_several))
    )


def plan_promotion(
    item: Item,
    rows: Sequence[SpecificPrice],
    own: Sequence[SpecificPrice],
    wanted: Promotion | None,
    terms: Terms,
    zone: ZoneInfo,
    now: datetime,
    shop_id: int | None,
) -> Plan:
    """What makes an item show ``wanted``. ``rows``: what the public may get of its product, ``own`` of them: the item's alone."""
    live = [row for row in own if row_ends(row) >= terms.local_now]
    others = [row for row in rows if row not in live]
    if wanted is None:
        plan = Plan(delete=[row.id for row in live])
        planned = others
    else:
        window = _window(wanted, zone)
        if window is None:
            return Plan(refused="its window cannot be told in the shop's local time (clocks change there)")
        reduction = _reduction(item, wanted.minor, terms)
        if reduction is None:
            return Plan(refused="the promotion is not below the regular price")
        target = {
            "price": "-1.000000",
            "reduction": reduction,
            "reduction_tax": "1",
            "reduction_type": "amount",
            "from": window[0],
            "to": window[1],
        }
        # two rows of the same window are refused by the shop: the one that has it already is the one that stays
        kept = next((row for row in live if (row.starts, row.ends) == window), live[0] if live else None)
        plan = Plan(delete=[row.id for row in live if row is not kept])
        if kept is None:
            plan.post = _new_row(item, target, shop_id)
        elif changed := {name: text for name, text in target.items() if not _holds(kept, name, text)}:
            plan.patch = {"id": str(kept.id), **changed}
        planned = [*others, _row(item, target, kept, shop_id)]
    shown = quote(item, planned, terms)
    seen = shown_promotion(shown, zone)
    if seen is not None and seen.is_over(now):
        seen = None
    if seen != wanted:
        other = shown.promotion
        what = (
            f"specific price {other.id} ({_scope(other, item)})" if other is not None and other.id > 0 else "its price"
        )
        return Plan(refused=f"{what} would still show in place of it, and is not this item's alone to change")
    return plan


def _new_row(item: Item, target: Mapping[str, str], shop_id: int | None) -> dict[str, str]:
    return {
        "id_shop_group": "0",
        "id_shop": str(shop_id or 0),
        "id_cart": "0",
        "id_product": str(item.product_id),
        "id_product_attribute": str(item.combination_id),
        "id_currency": "0",
        "id_country": "0",
        "id_group": "0",
        "id_customer": "0",
        "id_specific_price_rule": "0",
        "price": target["price"],
        "from_quantity": "1",
        **{name: target[name] for name in ("reduction", "reduction_tax", "reduction_type", "from", "to")},
    }


def _row(item: Item, target: Mapping[str, str], kept: SpecificPrice | None, shop_id: int | None) -> SpecificPrice:
    """The row as it will be."""
    base = kept or SpecificPrice(_NEW, item.product_id, item.combination_id, id_shop=shop_id or 0)
    return msgspec.structs.replace(
        base,
        price=target["price"],
        reduction=target["reduction"],
        reduction_tax=target["reduction_tax"],
        reduction_type=target["reduction_type"],
        starts=target["from"],
        ends=target["to"],
    )


def _holds(row: SpecificPrice, name: str, text: str) -> bool:
    held = {"from": row.starts, "to": row.ends}.get(name)
    if held is None:
        held = str(getattr(row, name))
    if name in ("price", "reduction"):
        return scaled_int(held) == scaled_int(text)
    return held == text


def _reduction(item: Item, minor: int, terms: Terms) -> str | None:
    """The amount off, tax included, six decimals, that makes the item cost exactly ``minor``; None when it is no reduction."""
    regular = quote(item, [], terms).regular_minor
    if regular is None or minor >= regular:
        return None
    exponent = minor_exponent(terms.currency_code)
    share = 100 * 10**MICRO_DIGITS - terms.group_reduction
    # what visitors have off every price comes off the reduced price as well
    micro = (regular - minor) * 10 ** (6 - exponent) * 100 * 10**MICRO_DIGITS
    rounded = (2 * micro + share) // (2 * share)
    return f"{rounded // 10**6}.{rounded % 10**6:06d}"


def _scope(row: SpecificPrice, item: Item) -> str:
    if row.id_specific_price_rule:
        return f"of catalogue price rule {row.id_specific_price_rule}"
    if not row.id_product:
        return "of every product"
    if row.id_product_attribute != item.combination_id:
        return f"of the whole product {row.id_product}"
    if row.id_group or row.id_country or row.id_currency:
        return "of a group, a country or a currency"
    return "of all shops" if not row.id_shop else "of this item"


# ---------------------------------------------------------------- instants


def _has_begun(promotion: Promotion, now: datetime) -> bool:
    return promotion.starts_at is None or promotion.starts_at <= now


def _instant(text: JsonValue) -> datetime | None:
    if text is None:
        return None
    if not isinstance(text, str):
        raise ValueError(f"{text!r} is not an instant")  # noqa: TRY004
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text!r} does not say its zone")
    return found.astimezone(UTC)


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.astimezone(UTC).strftime(_INSTANT)


def _from_local(text: str, zone: ZoneInfo) -> datetime | None:
    """As `local_instant` reads a column: the first of an hour that autumn has twice, 0000-00-00 is no bound."""
    if text.startswith("0000-00-00"):
        return None
    return datetime.strptime(text, _LOCAL).replace(tzinfo=zone, fold=0).astimezone(UTC)


def _window(wanted: Promotion, zone: ZoneInfo) -> tuple[str, str] | None:
    """From and to (the last second of it) in the shop's local time; None when they would be read back as others."""
    starts = _to_local(wanted.starts_at, zone)
    ends = _to_local(None if wanted.ends_at is None else wanted.ends_at - timedelta(seconds=1), zone)
    return None if starts is None or ends is None else (starts, ends)


def _to_local(instant: datetime | None, zone: ZoneInfo) -> str | None:
    if instant is None:
        return NO_DATE
    text = instant.astimezone(zone).strftime(_LOCAL)
    return text if _from_local(text, zone) == instant else None
