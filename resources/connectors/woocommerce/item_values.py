"""What may be written to a product or variation, in the shop's own fields; and what the shop would never keep, said before it is sent.

Inside a batch the shop checks no types: what leaves here has the right one, or does not leave.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from resources.connectors.sdk.writing import JsonValue
from resources.connectors.woocommerce.items import Item

ATTRIBUTES = ("published_qty", "regular_minor", "promotion", "is_published")
PRICES = ("regular_minor", "promotion")
_LOCAL = "%Y-%m-%dT%H:%M:%S"
_SECOND = timedelta(seconds=1)

Promotion = tuple[int, datetime | None, datetime | None]


def promotion_of(value: JsonValue) -> Promotion | None:
    """A canonical promotion as (minor units, start, end); None for none. Raises ValueError for what is no promotion."""
    if value is None:
        return None
    if not isinstance(value, Mapping) or not _is_amount(value.get("minor")):
        raise ValueError
    return (int(str(value["minor"])), _instant(value.get("starts_at")), _instant(value.get("ends_at")))


def _instant(value: JsonValue) -> datetime | None:
    if value is None:
        return None
    instant = datetime.fromisoformat(str(value))
    if instant.tzinfo is None or instant.microsecond:
        raise ValueError
    return instant.astimezone(UTC)


def _is_amount(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def is_same(attribute: str, one: JsonValue, other: JsonValue) -> bool:
    """Whether two canonical values of an attribute say the same; instants may be printed in two ways."""
    if attribute == "promotion":
        try:
            return promotion_of(one) == promotion_of(other)
        except ValueError:
            return False
    return type(one) is type(other) and one == other


def misshapen(attribute: str, value: JsonValue) -> str:
    """Why a wanted value is none of its attribute; empty when it is one."""
    if attribute == "published_qty":
        return "" if _is_amount(value) else f"{value!r} is not a whole quantity of 0 or more"
    if attribute == "regular_minor":
        return "" if _is_amount(value) else f"{value!r} is not a price in whole minor units"
    if attribute == "is_published":
        return "" if isinstance(value, bool) else f"{value!r} is neither true nor false"
    try:
        promotion_of(value)
    except ValueError:
        return f"{value!r} is not a promotion: minor units, and whole seconds in UTC for its start and end"
    return ""


def refusal(attribute: str, value: JsonValue, item: Item, *, has_new_price: bool, has_new_parent: bool) -> str:
    """Why the shop would not keep this value of this item; empty when it should.

    ``has_new_price``, ``has_new_parent``: a price of the item, or its product's publication, is written along.
    """
    row = item.row
    if attribute == "published_qty":
        if row.manage_stock is False:
            return (
                "the shop does not manage this item's stock: it would say yes and keep nothing; turn stock management on for "
                "it in the shop"
            )
        if row.manage_stock is not True:
            return f"this variation sells from the stock of its product {row.parent_id}: write that one's"
        return ""
    if attribute in PRICES:
        if "variable" in row.type or row.type == "grouped":
            return "a product with variations, or of several products, has no price of its own: write theirs"
        return ""
    if value is True:
        if row.type in ("external", "grouped"):
            return f"nobody can buy a product of the type {row.type} itself, published or not"
        if not (row.price or row.regular_price or has_new_price) and "variable" not in row.type:
            return "it has no price, so nobody could buy it: write its price first"
        if item.parent is not None and item.parent.status != "publish" and not has_new_parent:
            return f"its product {item.parent.id} is not published ({item.parent.status}): publish that one first"
        if row.status == "publish" and not (has_new_price or has_new_parent):
            return "its status is publish already, and the shop says that it cannot be bought: look at its price, and at its variations"
    return ""


def promotion_fields(promotion: Promotion | None, text: str | None) -> dict[str, Any]:
    """The fields of a promotion; ``text``: its price as the shop stores it. None clears price AND window: the price alone keeps the window.

    The shop sells at the sale price up to and with the last second; ours ends with the first second without.
    """
    if promotion is None:
        return {"sale_price": "", "date_on_sale_from": "", "date_on_sale_to": ""}
    _, starts_at, ends_at = promotion
    fields: dict[str, Any] = {"sale_price": text}
    for side, instant in (("from", starts_at), ("to", ends_at - _SECOND if ends_at else None)):
        if instant is None:
            fields[f"date_on_sale_{side}"] = ""
        else:
            fields[f"date_on_sale_{side}_gmt"] = instant.strftime(_LOCAL)
    return fields


def status_fields(is_published: bool, item: Item) -> dict[str, Any]:
    """The status of a product or variation. A variation is hidden by `private`: its own form knows nothing else."""
    if is_published:
        return {"status": "publish"}
    return {"status": "private" if item.row.parent_id else "draft"}
