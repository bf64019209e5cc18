"""Writing products and variations: what the shop keeps, drops without a word, and adds up."""

from __future__ import annotations

import copy
import re
from typing import Any

from sandbox.servers.slugs import slug
from sandbox.servers.table import Row
from sandbox.servers.woocommerce_catalogue import gmt_of, local_of
from sandbox.servers.woocommerce_query import DATE, ApiError
from sandbox.servers.woocommerce_shapes import (
    BLANK_PRODUCT,
    BLANK_VARIATION,
    item_links,
    permalink,
    variation_links,
)
from sandbox.servers.woocommerce_write_base import WriteBase

_PLAIN = (
    "name",
    "description",
    "short_description",
    "status",
    "virtual",
    "tax_status",
    "tax_class",
    "backorders",
    "weight",
    "categories",
    "attributes",
    "featured",
    "catalog_visibility",
    "menu_order",
    "global_unique_id",
    "sku",
)


class ItemWrites(WriteBase):
    """Writes products and variations."""

    def _edited(self, row: Row) -> Row:
        """A product as the reply to a write shows it: two keys more than a read."""
        links = row["_links"]
        shown = {name: value for name, value in row.items() if name != "_links"}
        shown["permalink_template"] = f"{self._home()}/product/%pagename%/"
        shown["generated_slug"] = row["slug"]
        shown["_links"] = links
        return shown

    def _create_product(self, body: Row) -> Row:
        row = copy.deepcopy(BLANK_PRODUCT)
        self._fill(row, body, own_id=None)
        number = self._next_item_id()
        row["id"] = number
        row["slug"] = slug(row["name"])
        row["permalink"] = permalink(self._home(), row["slug"])
        row["type"] = body.get("type", "simple")
        self._born(row)
        self._derived.settle(row)
        row["_links"] = item_links(self._home(), f"products/{number}")
        self._tables["products"].put(number, row)
        return self._edited(row)

    def _next_item_id(self) -> int:
        """Products and variations share one series of ids."""
        products, variations = self._tables["products"], self._tables["variations"]
        number = products.next_id()
        while number in variations:
            number = products.next_id()
        return max(number, variations.next_id())

    def _create_variation(self, parent: int, body: Row) -> Row:
        row = copy.deepcopy(BLANK_VARIATION)
        self._fill(row, body, own_id=None)
        number = self._next_item_id()
        row |= {"id": number, "parent_id": parent}
        self._born(row)
        self._derived.settle(row)
        row["_links"] = variation_links(self._home(), parent, number)
        self._tables["variations"].put(number, row)
        self._sum_up(parent)
        return row

    def _update_product(self, number: int, body: Row) -> Row:
        row = copy.deepcopy(self._tables["products"].row(number))
        self._fill(row, body, own_id=number)
        self._touch(row)
        self._derived.settle(row)
        self._tables["products"].put(number, row)
        if row["type"] == "variable":
            self._share_stock(row)
            self._sum_up(number)
        return self._edited(self._tables["products"].row(number))

    def _update_variation(self, number: int, body: Row) -> Row:
        row = copy.deepcopy(self._tables["variations"].row(number))
        self._fill(row, body, own_id=number)
        self._touch(row)
        self._derived.settle(row)
        self._tables["variations"].put(number, row)
        self._sum_up(int(row["parent_id"]))
        return {**row, "tax_class": row["tax_class"] or "parent"}

    def _share_stock(self, parent: Row) -> None:
        """A parent's quantity is seen on each variation that follows it."""
        variations = self._tables["variations"]
        for number in list(variations.where("parent_id", parent["id"])):
            row = variations.row(number)
            if row["manage_stock"] == "parent":
                shared = {name: parent[name] for name in ("stock_quantity", "stock_status", "backorders_allowed")}
                variations.put(number, {**row, **shared})

    def _sum_up(self, parent: int) -> None:
        products, variations = self._tables["products"], self._tables["variations"]
        if parent not in products:
            return
        row = copy.deepcopy(products.row(parent))
        rows = [variations.row(number) for number in variations.where("parent_id", parent)]
        row["variations"] = [held["id"] for held in rows]
        self._catalogue.sum_up(row, rows)
        self._touch(row)
        products.put(parent, row)

    def _fill(self, row: Row, body: Row, *, own_id: int | None) -> None:
        """Put a body's fields into a product or variation, as tolerantly as the shop does."""
        self._refuse_duplicates(body, own_id)
        for name in _PLAIN:
            if name in body and name in row:
                row[name] = body[name]
        if "manage_stock" in body and row["manage_stock"] != body["manage_stock"]:
            row["manage_stock"] = bool(body["manage_stock"])
            row["stock_quantity"] = row["stock_quantity"] if row["manage_stock"] else None
        for name in ("regular_price", "sale_price"):
            if name in body:
                row[name] = _decimal_text(body[name])
        if row["sale_price"] and (not row["regular_price"] or float(row["sale_price"]) >= float(row["regular_price"])):
            row["sale_price"] = ""
        self._set_window(row, body)
        if row["manage_stock"] is True and "stock_quantity" in body:
            row["stock_quantity"] = _integer(body["stock_quantity"])
        elif row["manage_stock"] is False and "stock_status" in body:
            row["stock_status"] = body["stock_status"]
        if "meta_data" in body:
            row["meta_data"] = self._merged_meta(row["meta_data"], body["meta_data"])
        row["backorders_allowed"] = row["backorders"] in ("yes", "notify")

    def _set_window(self, row: Row, body: Row) -> None:
        """Sale dates: a local value or its _gmt twin; "" clears; a day alone ends with its last second."""
        for side in ("from", "to"):
            local_name, gmt_name = f"date_on_sale_{side}", f"date_on_sale_{side}_gmt"
            for name in (local_name, gmt_name):
                if name not in body:
                    continue
                match = DATE.fullmatch(str(body[name] or ""))
                if match is None:
                    row[local_name] = row[gmt_name] = None
                    continue
                text = f"{match[1]}T{match[2] or ('23:59:59' if side == 'to' else '00:00:00')}"
                if name == local_name:
                    row[local_name], row[gmt_name] = text, gmt_of(text, self._zone)
                else:
                    row[local_name], row[gmt_name] = local_of(text, self._zone), text

    def _refuse_duplicates(self, body: Row, own_id: int | None) -> None:
        for name, code, message in (
            ("sku", "product_invalid_sku", "Invalid or duplicated SKU."),
            ("global_unique_id", "product_invalid_global_unique_id", "Invalid or duplicated GTIN, UPC, EAN or ISBN."),
        ):
            value = body.get(name)
            if not value:
                continue
            holders = [
                number
                for table in ("products", "variations")
                for number in self._tables[table].where(name, value)
                if number != own_id and self._tables[table].value(number, "status") != "trash"
            ]
            if holders:
                data: Row = {"status": 400, "resource_id": holders[0]}
                if name == "sku":
                    data["unique_sku"] = self._free_sku(str(value))
                raise ApiError(400, code, message, data)

    def _free_sku(self, sku: str) -> str:
        number = 1
        while self._tables["products"].where("sku", f"{sku}-{number}"):
            number += 1
        return f"{sku}-{number}"


def _decimal_text(value: Any) -> str:
    """A price as the shop understands it: everything but digits, dot and minus is dropped, so "50,00" is 5000 and "gratuit" nothing."""
    return re.sub(r"[^0-9.\-]", "", "" if value is None else str(value))


def _integer(value: Any) -> int:
    """A quantity as PHP reads it: leading digits, else 0."""
    match = re.match(r"\s*-?\d+", str(value))
    return int(match[0]) if match else 0
