"""Writing through the PrestaShop Webservice: XML in, rows changed, with what the shop does behind.

Belongs here: POST, PUT, PATCH and DELETE. Rows under <prestashop> are written one after the other; at the first bad one
it stops, those before are kept, and the answer shows the last alone.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping
from typing import Any

from lxml import etree

from sandbox.servers.prestashop_query import WebserviceError
from sandbox.servers.prestashop_resources import NO_DATE, Resource, texts
from sandbox.servers.table import Row, Table

PRICE = re.compile(r"\d{1,10}(\.\d{1,9})?")
NEGATIVE_PRICE = re.compile(r"-?\d{1,10}(\.\d{1,9})?")
INTEGER = re.compile(r"-?\d+")
TRACKING = re.compile(r"[~:#,%&_=\(\)\[\]\.\? +\-@/a-zA-Z0-9]+")
CATALOG_NAME = re.compile(r"[^<>;=#{}]*")
CANCELLED, SHIPPED, DELIVERED = "6", "4", "5"


class Writer:
    """Applies writes to the tables. ``local_now`` gives the shop's own time as it prints it.

    ``failing``: (resource, id) of rows on which a module of the shop breaks: PHP dies there, rows written before are kept.
    """

    def __init__(self, tables: Mapping[str, Table], local_now: Callable[[], str]) -> None:
        self._tables = tables
        self._now = local_now
        self.failing: set[tuple[str, int]] = set()

    def write(self, resource: Resource, method: str, body: bytes) -> Row:
        """POST, PUT or PATCH every row of an XML body; gives the last one as the shop replies it."""
        root = _parsed(body)
        last: Row | None = None
        for node in root:
            if isinstance(node.tag, str):
                last = self._write_one(resource, method, node)
        if last is None:
            raise WebserviceError(400, (90, "id is required when modifying a resource"))
        return last

    def delete(self, resource: Resource, row_id: int) -> None:
        """DELETE one row, and what hangs on a product."""
        self._tables[resource.path].delete(row_id)
        if resource.path == "products":
            for path in ("combinations", "stock_availables", "specific_prices"):
                table = self._tables[path]
                for hanging in list(table.where("id_product", str(row_id))):
                    table.delete(hanging)

    def _write_one(self, resource: Resource, method: str, node: Any) -> Row:
        table = self._tables[resource.path]
        is_new = method == "POST"
        if is_new:
            row = copy.deepcopy(resource.blank)
        else:
            written_id = (node.findtext("id") or "").strip()
            if not written_id:
                raise WebserviceError(400, (90, "id is required when modifying a resource"))
            if not written_id.isdigit() or int(written_id) not in table:
                raise WebserviceError(404, (92, "Invalid ID"))
            if (resource.path, int(written_id)) in self.failing:
                raise WebserviceError(500)
            row = copy.deepcopy(table.row(int(written_id)))
        before = dict(row)
        self._fill(resource, method, node, row)
        extra = self._before_saving(resource, row, before, is_new=is_new)
        row_id = table.next_id() if is_new else int(row["id"])
        row["id"] = row_id
        if "date_upd" in row:
            row["date_upd"] = self._now()
        if is_new and "date_add" in row and row["date_add"] == NO_DATE:
            row["date_add"] = self._now()
        table.put(row_id, row)
        if is_new:
            extra |= _never_set(resource, node)
        extra |= self._after_saving(resource, row, before, is_new=is_new)
        return {**table.row(row_id), **extra}

    def _fill(self, resource: Resource, method: str, node: Any, row: Row) -> None:
        sent = {child.tag: child for child in node if isinstance(child.tag, str)}
        for name in resource.fields:
            if name == "id":
                continue
            if name in sent:
                if name in resource.read_only:
                    message = f'parameter "{name}" not writable. Please remove this attribute of this XML'
                    raise WebserviceError(400, (93, message))
                row[name] = self._value(resource, name, sent[name], row[name])
            elif name in resource.required and method != "PATCH":
                raise WebserviceError(400, (41, f'parameter "{name}" required'))
            elif method == "PUT" and name not in ("date_add", "date_upd"):
                row[name] = copy.deepcopy(resource.blank[name])
        if "associations" in sent:
            held = dict(row.get("associations") or {})
            for association in resource.associations:
                found = sent["associations"].find(association.name)
                if found is not None:
                    held[association.name] = [_element(association.fields, item) for item in found]
            row["associations"] = held

    def _value(self, resource: Resource, name: str, node: Any, held: Any) -> Any:
        if resource.is_multilingual(name):
            return self._texts(resource, name, node, held)
        text = (node.text or "").strip()
        _check(resource, name, text)
        return text

    def _texts(self, resource: Resource, name: str, node: Any, held: Any) -> list[dict[str, str]]:
        value = {item["id"]: item["value"] for item in held or texts("")}
        for language in node.findall("language"):
            text = (language.text or "").strip()
            _check(resource, name, text)
            value[str(language.get("id"))] = text
        return [{"id": number, "value": text} for number, text in value.items()]

    def _before_saving(self, resource: Resource, row: Row, before: Row, *, is_new: bool) -> Row:
        """Checks of one resource; gives what its reply prints otherwise than the row."""
        if resource.path == "customers" and is_new:
            if self._tables["customers"].where("email", row["email"]):
                raise WebserviceError(
                    500, (140, "The email is already used, please choose another one"), (46, "Unable to save resource")
                )
            row["associations"] = {"groups": [{"id": str(row["id_default_group"])}]}
            return {"id_default_group": int(row["id_default_group"]), "id_lang": 1, "id_shop": 1}
        if resource.path == "order_histories":
            known_order = row["id_order"].isdigit() and int(row["id_order"]) in self._tables["orders"]
            known_state = row["id_order_state"].isdigit() and int(row["id_order_state"]) in self._tables["order_states"]
            if not known_order or not known_state:
                raise WebserviceError(500)
            return {"id_order_state": int(row["id_order_state"])}
        if resource.path == "specific_prices":
            self._refuse_same_specific_price(row)
        is_moved = resource.path == "orders" and row["current_state"] != before["current_state"]
        if is_moved and int(row["current_state"]) not in self._tables["order_states"]:
            raise WebserviceError(500)
        return {}

    def _refuse_same_specific_price(self, row: Row) -> None:
        names = [
            name
            for name in row
            if (name.startswith("id_") and name != "id_specific_price_rule") or name in ("from_quantity", "from", "to")
        ]
        table = self._tables["specific_prices"]
        for other_id in table.where("id_product", row["id_product"]):
            other = table.row(other_id)
            if other_id != row["id"] and all(str(other[name]) == str(row[name]) for name in names):
                raise WebserviceError(500)

    def _after_saving(self, resource: Resource, row: Row, before: Row, *, is_new: bool) -> Row:
        """What the shop does of itself after a row is saved; gives what the reply prints otherwise than the row."""
        if resource.path == "stock_availables" and row["id_product_attribute"] != "0":
            self.sum_stock(row["id_product"])
        if resource.path == "order_histories" and is_new:
            self.enter_state(int(row["id_order"]), row["id_order_state"])
        if resource.path == "orders" and row["current_state"] != before["current_state"]:
            histories = self._tables["order_histories"]
            history_id = histories.next_id()
            histories.put(
                history_id,
                {
                    "id": history_id,
                    "id_employee": "0",
                    "id_order_state": row["current_state"],
                    "id_order": str(row["id"]),
                    "date_add": self._now(),
                },
            )
            wanted = row["current_state"]
            self._tables["orders"].put(int(row["id"]), {**row, "current_state": before["current_state"]})
            self.enter_state(int(row["id"]), wanted)
            paid = self._tables["orders"].row(int(row["id"]))["total_paid_real"]
            first_payment = float(before["total_paid_real"]) == 0 and float(paid) != 0
            return {"current_state": int(wanted)} | ({"total_paid_real": float(paid)} if first_payment else {})
        if resource.path == "order_carriers" and row["tracking_number"] != before["tracking_number"]:
            orders = self._tables["orders"]
            order_id = int(row["id_order"])
            if order_id in orders:
                orders.put(order_id, {**orders.row(order_id), "shipping_number": row["tracking_number"]})
        if resource.path == "order_slip" and is_new:
            self._number_slip_lines(row)
        return {}

    def _number_slip_lines(self, row: Row) -> None:
        table = self._tables["order_slip"]
        last = 0
        for other_id in table.ids():
            if other_id != row["id"]:
                lines = (table.row(other_id).get("associations") or {}).get("order_slip_details") or []
                last = max([last, *(int(line["id"]) for line in lines)])
        for line in (row.get("associations") or {}).get("order_slip_details") or []:
            last += 1
            line["id"] = str(last)

    def sum_stock(self, product_id: str) -> None:
        """Add the combinations of a product up in its own row, as the shop does when one of them changes."""
        table = self._tables["stock_availables"]
        rows = [table.row(row_id) for row_id in table.where("id_product", product_id)]
        total = sum(int(row["quantity"]) for row in rows if row["id_product_attribute"] != "0")
        for row in rows:
            if row["id_product_attribute"] == "0":
                table.put(int(row["id"]), {**row, "quantity": str(total)})

    def enter_state(self, order_id: int, state_id: str) -> None:
        """An order enters a state: its flags, its documents, and the stock a cancellation gives back."""
        orders = self._tables["orders"]
        order = dict(orders.row(order_id))
        state = self._tables["order_states"].row(int(state_id))
        previous = order["current_state"]
        order["current_state"] = state_id
        order["date_upd"] = self._now()
        if state["paid"] == "1" and float(order["total_paid_real"]) == 0:
            order["total_paid_real"] = order["total_paid_tax_incl"]
        if state["invoice"] == "1" and order["invoice_number"] == "0":
            order["invoice_number"] = str(order_id)
            order["invoice_date"] = self._now()
        if state["delivery"] == "1":
            if order["delivery_number"] == "0":
                order["delivery_number"] = str(order_id)
            order["delivery_date"] = self._now()
        order["valid"] = "1" if state["logable"] == "1" else "0"
        orders.put(order_id, order)
        if state_id == CANCELLED and previous not in (CANCELLED, SHIPPED, DELIVERED):
            self._give_back(order)

    def _give_back(self, order: Row) -> None:
        stock = self._tables["stock_availables"]
        for line in (order.get("associations") or {}).get("order_rows") or []:
            for row_id in stock.where("id_product", line["product_id"]):
                row = stock.row(row_id)
                if row["id_product_attribute"] == line["product_attribute_id"]:
                    stock.put(row_id, {**row, "quantity": str(int(row["quantity"]) + int(line["product_quantity"]))})
                    if row["id_product_attribute"] != "0":
                        self.sum_stock(line["product_id"])
                    break


def _never_set(resource: Resource, node: Any) -> Row:
    """Dates and amounts nobody sent: the reply to a creation leaves them out, a later read prints their zeros."""
    sent = {child.tag for child in node}
    zeros = (NO_DATE, "0000-00-00", "0.000000")
    return {
        name: None
        for name, blank in resource.blank.items()
        if name not in sent and name not in ("date_add", "date_upd") and blank in zeros
    }


def _element(fields: tuple[str, ...], node: Any) -> dict[str, str]:
    """One element of an association: the fields it knows, in their order; what was not sent is 0."""
    sent = {child.tag: (child.text or "").strip() for child in node if isinstance(child.tag, str)}
    return {name: sent.get(name, "0") for name in fields}


def _parsed(body: bytes) -> Any:
    """The <prestashop> element; a body that is no XML is a 500 that tells PHP's own words."""
    parser = etree.XMLParser(resolve_entities=False, no_network=True, strip_cdata=False)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        text = body.decode("utf-8", "replace")
        reason = re.sub(r", line \d+, column \d+.*$", "", str(error.msg))
        where = "(/srv/shop/classes/webservice/WebserviceRequest.php, line 1544)"
        warning = "[PHP Warning #2] SimpleXMLElement::__construct():"
        column = max(0, (error.position[1] or 1) - 1)
        raise WebserviceError(
            500,
            (3, f"{warning} Entity: line {error.position[0]}: parser error : {reason} {where}"),
            (3, f"{warning} {text} {where}"),
            (3, f"{warning} {' ' * column}^ {where}"),
            (127, f"XML error : String could not be parsed as XML\nXML length : {len(body)}\nOriginal XML : {text}"),
        ) from error
    return root


def _check(resource: Resource, name: str, text: str) -> None:
    """Refuse a value that its format forbids, in the shop's words."""
    kind = resource.formats.get(name)
    if kind is None or text == "":
        return
    if kind == "int" and not re.search(r"\d", text):
        raise WebserviceError(
            400,
            (
                85,
                (
                    f'Validation error: "The range of property {resource.class_name}->{name} is currently 0. '
                    'It must be between -2147483648 and 2147483647."'
                ),
            ),
        )
    patterns = {
        "price": PRICE,
        "negative_price": NEGATIVE_PRICE,
        "int": INTEGER,
        "unsigned": re.compile(r"\d+"),
        "bool": re.compile(r"[01]"),
        "unsigned_float": PRICE,
        "catalog_name": CATALOG_NAME,
        "ean13": re.compile(r"\d{0,13}"),
        "reference": CATALOG_NAME,
        "tracking": TRACKING,
    }
    if not patterns[kind].fullmatch(text):
        raise WebserviceError(400, (85, f'Validation error: "Property {resource.class_name}->{name} is not valid"'))
