"""Writing through WooCommerce REST v3, one by one or in a batch: the way in to every write, and the types that are looked at.

A single write checks types; INSIDE A BATCH NOTHING CHECKS THEM. What a write changes is told beside, by subject.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from functools import partial

from sandbox.servers.table import Row
from sandbox.servers.woocommerce_order_writes import WRITABLE_STATUSES, OrderWrites
from sandbox.servers.woocommerce_query import ApiError, invalid_parameter, listed

MAX_BATCH = 100
_TYPES: Mapping[str, tuple[type, str]] = {
    "stock_quantity": (int, "integer"),
    "regular_price": (str, "string"),
    "sale_price": (str, "string"),
    "name": (str, "string"),
    "sku": (str, "string"),
    "virtual": (bool, "boolean"),
    "customer_id": (int, "integer"),
    "line_items": (list, "array"),
    "meta_data": (list, "array"),
}


class Writer(OrderWrites):
    """Applies writes to the tables, whatever they are of."""

    def create(self, name: str, parent: int | None, body: Row, *, is_strict: bool) -> Row:
        """POST one row; ``parent``: the product of a variation, the order of a refund. `ApiError` when it is refused."""
        if is_strict:
            _check_types(name, body)
        if name == "products":
            row = self._create_product(body)
            self._tell("product.created", name, row["id"])
            return row
        if name == "variations" and parent is not None:
            row = self._create_variation(parent, body)
            self._tell("product.created", name, row["id"])
            return row
        if name == "orders":
            return self._create_order(body)
        if name == "refunds" and parent is not None:
            row = self._create_refund(parent, body)
            self._tell("order.updated", "orders", parent)
            return row
        raise ApiError(405, "rest_not_writable", f"The sandbox creates no {name}.")

    def update(self, name: str, number: int, body: Row, *, is_strict: bool) -> Row:
        """PUT one row that is known to exist, as the reply shows it."""
        if is_strict:
            _check_types(name, body)
        updates = {"products": self._update_product, "variations": self._update_variation, "orders": self._update_order}
        if name in updates:
            row = updates[name](number, body)
            self._tell("order.updated" if name == "orders" else "product.updated", name, number)
            self._tell_of_stock()
            return row
        raise ApiError(405, "rest_not_writable", f"The sandbox updates no {name}.")

    def delete(self, name: str, number: int, *, is_forced: bool) -> Row:
        """DELETE one row: into the trash unless forced; the reply shows it as it was."""
        table = self._tables[name]
        before = table.row(number)
        if not is_forced and name in ("customers", "taxes", "refunds", "products/categories"):
            plural = {"customers": "Customers"}.get(name, "Resource")
            message = (
                f"{plural} do not support trashing." if name == "customers" else f"{plural} does not support trashing."
            )
            raise ApiError(501, "woocommerce_rest_trash_not_supported", message)
        if is_forced or name == "variations":
            table.delete(number)
            if name == "products":
                for child in list(self._tables["variations"].where("parent_id", number)):
                    self._tables["variations"].delete(child)
        else:
            row = copy.deepcopy(before)
            row["status"] = "trash"
            self._touch(row)
            table.put(number, row)
        if name in ("products", "variations", "orders"):
            self._tell("order.deleted" if name == "orders" else "product.deleted", name, number)
        return self._edited(before) if name == "products" else before

    def batch(self, name: str, parent: int | None, body: Row) -> Row:
        """Create, update and delete up to 100 rows: each item answers for itself, good ones are kept."""
        parts = {part: body.get(part) or [] for part in ("create", "update", "delete")}
        if sum(len(items) for items in parts.values()) > MAX_BATCH:
            message = f"Unable to accept more than {MAX_BATCH} items for this request."
            raise ApiError(413, "woocommerce_rest_request_entity_too_large", message)
        answer: Row = {}
        if parts["create"]:
            answer["create"] = [
                self._item(0, partial(self.create, name, parent, item, is_strict=False)) for item in parts["create"]
            ]
        if parts["update"]:
            answer["update"] = [self._batch_update(name, parent, item) for item in parts["update"]]
        if parts["delete"]:
            answer["delete"] = [
                self._item(int(number), partial(self._batch_delete, name, int(number))) for number in parts["delete"]
            ]
        return answer

    def _batch_update(self, name: str, parent: int | None, item: Row) -> Row:
        number = int(item.get("id") or 0)

        def write() -> Row:
            table = self._tables[name]
            if number not in table or (parent is not None and table.value(number, "parent_id") != parent):
                raise self._unknown(name, 404 if name == "variations" else 400, in_batch=True)
            return self.update(
                name, number, {key: value for key, value in item.items() if key != "id"}, is_strict=False
            )

        return self._item(number, write)

    def _batch_delete(self, name: str, number: int) -> Row:
        if number not in self._tables[name]:
            raise self._unknown(name, 404, in_batch=True)
        return self.delete(name, number, is_forced=False)

    @staticmethod
    def _unknown(name: str, status: int, *, in_batch: bool) -> ApiError:
        codes = {
            "products": "woocommerce_rest_product_invalid_id",
            "variations": "woocommerce_rest_product_variation_invalid_id",
            "orders": "woocommerce_rest_shop_order_invalid_id",
        }
        message = "ID is invalid." if in_batch and name == "orders" else "Invalid ID."
        return ApiError(status, codes.get(name, "woocommerce_rest_invalid_id"), message)

    @staticmethod
    def _item(number: int, write: Callable[[], Row]) -> Row:
        try:
            return write()
        except ApiError as error:
            return {"id": number, "error": error.body()}


def _check_types(name: str, body: Row) -> None:
    """400 for a value of another type than the schema's, as a single write checks it."""
    for key, (kind, label) in _TYPES.items():
        value = body.get(key)
        if value is None:
            continue
        is_right = isinstance(value, kind) and not (kind is int and isinstance(value, bool))
        if kind is int and isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            is_right = True
        if not is_right:
            raise invalid_parameter(key, "rest_invalid_type", f"{key} is not of type {label}.", {"param": key})
    if name == "orders" and "status" in body and body["status"] not in WRITABLE_STATUSES:
        message = f"status is not one of {listed(WRITABLE_STATUSES)}."
        raise invalid_parameter("status", "rest_not_in_enum", message)
