"""A buyer in a PrestaShop shop: puts items in a cart, pays, and the shop does what it does with every order.

Belongs here: what a checkout changes in the tables. Orders that the shop held from the beginning are drawn by `prestashop_sales`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sandbox.servers import prestashop_reference as ref
from sandbox.servers.money import MICRO, half_up, six_decimals
from sandbox.servers.prestashop_query import PriceCalculator
from sandbox.servers.prestashop_resources import ORDER_ROW_FIELDS, RESOURCES
from sandbox.servers.prestashop_writes import Writer
from sandbox.servers.table import Row, Table

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_PAYMENT = "Virement bancaire"


@dataclass(frozen=True)
class PlacedOrder:
    """An order as its buyer is told: the shop's id, and the number on the confirmation."""

    order_id: int
    number: str


@dataclass(frozen=True)
class Shown:
    """What a buyer sees of an item: units, prices in minor units with tax, and whether it can be bought."""

    quantity: int
    regular_minor: int
    effective_minor: int
    is_published: bool


class Checkout:
    """Buyers of one shop. Callers hold the shop's lock."""

    def __init__(
        self,
        tables: Mapping[str, Table],
        prices: PriceCalculator,
        writer: Writer,
        local_now: Callable[[], str],
    ) -> None:
        self._tables = tables
        self._prices = prices
        self._writer = writer
        self._now = local_now

    def shown(self) -> dict[str, Shown]:
        """Every item a buyer can put in a cart, by its name in Étalon (`12`, or `12-34` for a combination)."""
        products, combinations = self._tables["products"], self._tables["combinations"]
        children: dict[int, list[int]] = {}
        for combination_id in combinations.ids():
            children.setdefault(int(combinations.value(combination_id, "id_product")), []).append(combination_id)
        stock = self._tables["stock_availables"]
        quantities: dict[tuple[str, str], int] = {}
        for row_id in stock.ids():
            row = stock.row(row_id)
            quantities[row["id_product"], row["id_product_attribute"]] = int(row["quantity"])
        found = {}
        for product_id in products.ids():
            row = products.row(product_id)
            is_published = (row["active"], row["state"], row["available_for_order"]) == ("1", "1", "1")
            for combination_id in children.get(product_id, [0]):
                name = f"{product_id}-{combination_id}" if combination_id else str(product_id)
                found[name] = Shown(
                    quantities.get((str(product_id), str(combination_id)), 0),
                    self._minor(product_id, combination_id, use_reduction="0"),
                    self._minor(product_id, combination_id),
                    is_published,
                )
        return found

    def place_order(
        self,
        lines: Sequence[tuple[int, int]],
        *,
        customer_id: int | None = None,
        is_paid: bool = True,
        shipping_minor: int = 490,
    ) -> PlacedOrder:
        """A buyer orders (item, units) at the prices shown now; an item is a product, or a combination by its own number.

        Raises ValueError for an item that nobody can buy: unknown, hidden, or not enough of it.
        """
        wanted = [(*self._item(item_id), units) for item_id, units in lines]
        for product_id, combination_id, units in wanted:
            self._check(product_id, combination_id, units)
        buyer_id, address_id = self._buyer(customer_id)
        order_id = self._tables["orders"].next_id()
        now = self._now()
        details = [self._detail(order_id, *line) for line in wanted]
        for detail, (product_id, combination_id, units) in zip(details, wanted, strict=True):
            self._tables["order_details"].put(int(detail["id"]), detail)
            self._take(product_id, combination_id, units)
        order = self._order(order_id, buyer_id, address_id, details, shipping_minor, now)
        self._tables["orders"].put(order_id, order)
        self._tables["order_carriers"].put(*self._parcel(order, now))
        self._enter(order_id, ref.AWAITING_WIRE)
        if is_paid:
            self._pay(order)
        return PlacedOrder(order_id, order["reference"])

    # items -----------------------------------------------------------------------------------------------------------

    def _item(self, item_id: int) -> tuple[int, int]:
        if item_id in self._tables["products"]:
            return item_id, 0
        if item_id in self._tables["combinations"]:
            return int(self._tables["combinations"].value(item_id, "id_product")), item_id
        raise ValueError(f"the shop has no item {item_id}")

    def _stock_row(self, product_id: int, combination_id: int) -> Row:
        stock = self._tables["stock_availables"]
        rows = (stock.row(row_id) for row_id in stock.where("id_product", str(product_id)))
        return next(row for row in rows if row["id_product_attribute"] == str(combination_id))

    def _check(self, product_id: int, combination_id: int, units: int) -> None:
        product = self._tables["products"].row(product_id)
        if (product["active"], product["state"], product["available_for_order"]) != ("1", "1", "1"):
            raise ValueError(f"product {product_id} is not on sale")
        stock = self._stock_row(product_id, combination_id)
        if units < 1 or (int(stock["quantity"]) < units and stock["out_of_stock"] != "1"):
            raise ValueError(
                f"{units} of item {product_id}-{combination_id} cannot be had: there are {stock['quantity']}"
            )

    def _take(self, product_id: int, combination_id: int, units: int) -> None:
        row = self._stock_row(product_id, combination_id)
        self._tables["stock_availables"].put(int(row["id"]), {**row, "quantity": str(int(row["quantity"]) - units)})
        if combination_id:
            self._writer.sum_stock(str(product_id))

    def _priced(self, product_id: int, combination_id: int, **options: str) -> str:
        path = "combinations" if combination_id else "products"
        row = self._tables[path].row(combination_id or product_id)
        return self._prices.price(path, row, {"use_tax": "1", **options})

    def _minor(self, product_id: int, combination_id: int, **options: str) -> int:
        return half_up(_micro(self._priced(product_id, combination_id, **options)), 10_000)

    # rows ------------------------------------------------------------------------------------------------------------

    def _buyer(self, customer_id: int | None) -> tuple[int, int]:
        """Customer and address; a guest's are made when nobody is named and the shop has no customer with an address."""
        addresses = self._tables["addresses"]
        if customer_id is not None:
            own = addresses.where("id_customer", str(customer_id))
            if not own:
                raise ValueError(f"the shop has no customer {customer_id} with an address")
            return customer_id, own[0]
        if len(addresses):
            address = addresses.row(addresses.ids()[0])
            return int(address["id_customer"]), int(address["id"])
        customers = self._tables["customers"]
        buyer_id, address_id = customers.next_id(), addresses.next_id()
        name = {"lastname": "Dupont", "firstname": "Anne"}
        dates = {"date_add": self._now(), "date_upd": self._now()}
        guest = {"email": f"guest{buyer_id}@example.com", "is_guest": "1", "id_default_group": "2"}
        customers.put(buyer_id, {**RESOURCES["customers"].blank, "id": buyer_id, **name, **guest, **dates})
        home = {"id_customer": str(buyer_id), "id_country": str(ref.COUNTRY_IDS["FR"]), "alias": "Mon adresse"}
        addresses.put(address_id, {**RESOURCES["addresses"].blank, "id": address_id, **home, **name, **dates})
        return buyer_id, address_id

    def _detail(self, order_id: int, product_id: int, combination_id: int, units: int) -> Row:
        product = self._tables["products"].row(product_id)
        item = self._tables["combinations"].row(combination_id) if combination_id else product
        rate = self._prices.rate_milli(str(product["id_tax_rules_group"]))
        gross = _micro(self._priced(product_id, combination_id))
        net = half_up(gross * 100_000, 100_000 + rate)
        label = next((text["value"] for text in product["name"] if text["id"] == "2"), "")
        row_id = self._tables["order_details"].next_id()
        return {
            **RESOURCES["order_details"].blank,
            "id": row_id,
            "id_order": str(order_id),
            "product_id": str(product_id),
            "product_attribute_id": str(combination_id),
            "product_name": f"{label} ({item['reference']})" if combination_id else label,
            "product_quantity": str(units),
            "product_quantity_in_stock": str(units),
            "product_price": six_decimals(net),
            "product_ean13": item["ean13"],
            "product_reference": item["reference"],
            "id_tax_rules_group": product["id_tax_rules_group"],
            "unit_price_tax_incl": six_decimals(gross),
            "unit_price_tax_excl": six_decimals(net),
            "total_price_tax_incl": six_decimals(gross * units),
            # the shop rounds the tax of a line, not of a unit
            "total_price_tax_excl": _cents(half_up(gross * units * 100_000, 100_000 + rate)),
            "original_product_price": six_decimals(net),
            "associations": {"taxes": [{"id": product["id_tax_rules_group"]}]},
        }

    def _order(
        self, order_id: int, buyer_id: int, address_id: int, details: Sequence[Row], shipping_minor: int, now: str
    ) -> Row:
        goods, goods_net = (
            sum(_micro(detail[name]) for detail in details) for name in ("total_price_tax_incl", "total_price_tax_excl")
        )
        rate = max(self._prices.rate_milli(str(detail["id_tax_rules_group"])) for detail in details)
        shipping = shipping_minor * 10_000
        shipping_net = _micro(_cents(half_up(shipping * 100_000, 100_000 + rate)))
        total, total_net = six_decimals(goods + shipping), six_decimals(goods_net + shipping_net)
        return {
            **RESOURCES["orders"].blank,
            "id": order_id,
            "id_address_delivery": str(address_id),
            "id_address_invoice": str(address_id),
            "id_cart": str(order_id),
            "id_customer": str(buyer_id),
            "id_carrier": str(ref.HOME_DELIVERY),
            "module": "ps_wirepayment",
            "payment": _PAYMENT,
            "date_add": now,
            "date_upd": now,
            "total_paid": total,
            "total_paid_tax_incl": total,
            "total_paid_tax_excl": total_net,
            "total_products": six_decimals(goods_net),
            "total_products_wt": six_decimals(goods),
            "total_shipping": six_decimals(shipping),
            "total_shipping_tax_incl": six_decimals(shipping),
            "total_shipping_tax_excl": six_decimals(shipping_net),
            "carrier_tax_rate": f"{rate // 1000}.{rate % 1000:03d}",
            "reference": _reference(order_id),
            "associations": {
                "order_rows": [
                    {name: str(detail[name]) if name == "id" else detail[name] for name in ORDER_ROW_FIELDS}
                    for detail in details
                ]
            },
        }

    def _parcel(self, order: Row, now: str) -> tuple[int, Row]:
        row_id = self._tables["order_carriers"].next_id()
        row = {
            **RESOURCES["order_carriers"].blank,
            "id": row_id,
            "id_order": str(order["id"]),
            "id_carrier": order["id_carrier"],
            "shipping_cost_tax_excl": order["total_shipping_tax_excl"],
            "shipping_cost_tax_incl": order["total_shipping_tax_incl"],
            "date_add": now,
        }
        return row_id, row

    def _pay(self, order: Row) -> None:
        payments = self._tables["order_payments"]
        row_id = payments.next_id()
        payments.put(
            row_id,
            {
                "id": row_id,
                "order_reference": order["reference"],
                "id_currency": "1",
                "amount": order["total_paid"],
                "payment_method": _PAYMENT,
                "conversion_rate": "1.000000",
                **dict.fromkeys(("transaction_id", "card_number", "card_brand", "card_expiration", "card_holder"), ""),
                "date_add": self._now(),
                "id_employee": "",
            },
        )
        self._enter(int(order["id"]), ref.PAID)

    def _enter(self, order_id: int, state: int) -> None:
        """A row of order_histories, and what the shop does when an order enters a state."""
        histories = self._tables["order_histories"]
        row_id = histories.next_id()
        row = {"id_order_state": str(state), "id_order": str(order_id), "date_add": self._now()}
        histories.put(row_id, {**RESOURCES["order_histories"].blank, "id": row_id, **row})
        self._writer.enter_state(order_id, str(state))


def _reference(order_id: int) -> str:
    """Nine letters, different for each order."""
    number, letters = order_id * 1_000_003 + 7, ""
    for _ in range(9):
        number, place = divmod(number, len(_LETTERS))
        letters = _LETTERS[place] + letters
    return letters


def _cents(micro: int) -> str:
    return six_decimals(half_up(micro, 10_000) * 10_000)


def _micro(text: str) -> int:
    """ "24.916667" as millionths."""
    whole, _, decimals = text.partition(".")
    sign = -1 if whole.startswith("-") else 1
    return sign * (abs(int(whole)) * MICRO + int((decimals + "000000")[:6]))
