"""The small collections a PrestaShop shop is set up with: states, countries, languages, currencies, carriers, groups.

Belongs here: rows that hardly depend on what the shop sells.
"""

from __future__ import annotations

from sandbox.servers.prestashop_resources import RESOURCES, texts
from sandbox.servers.table import Row

AWAITING_WIRE, PAID, SHIPPED, DELIVERED, CANCELLED, REFUNDED, PAYMENT_ERROR, AWAITING_CHECK = 10, 2, 4, 5, 6, 7, 8, 1

# id, English, French, invoice, delivery, logable, shipped, paid, module
_STATES = (
    (1, "Awaiting check payment", "En attente du paiement par chèque", 0, 0, 0, 0, 0, "ps_checkpayment"),
    (2, "Payment accepted", "Paiement accepté", 1, 0, 1, 0, 1, ""),
    (3, "Processing in progress", "En cours de préparation", 1, 1, 1, 0, 1, ""),
    (4, "Shipped", "Expédié", 1, 1, 1, 1, 1, ""),
    (5, "Delivered", "Livré", 1, 1, 1, 1, 1, ""),
    (6, "Canceled", "Annulé", 0, 0, 0, 0, 0, ""),
    (7, "Refunded", "Remboursé", 1, 0, 0, 0, 0, ""),
    (8, "Payment error", "Erreur de paiement", 0, 0, 0, 0, 0, ""),
    (9, "On backorder (paid)", "En attente de réapprovisionnement (payé)", 1, 0, 0, 0, 1, ""),
    (10, "Awaiting bank wire payment", "En attente de virement bancaire", 0, 0, 0, 0, 0, "ps_wirepayment"),
    (11, "Remote payment accepted", "Paiement à distance accepté", 1, 0, 1, 0, 1, ""),
    (12, "On backorder (not paid)", "En attente de réapprovisionnement (non payé)", 0, 0, 0, 0, 0, ""),
    (
        13,
        "Awaiting Cash On Delivery validation",
        "En attente de paiement à la livraison",
        0,
        0,
        0,
        0,
        0,
        "ps_cashondelivery",
    ),
)

# PrestaShop's own country ids
COUNTRY_IDS = {
    "DE": 1, "AT": 2, "BE": 3, "CA": 4, "CN": 5, "ES": 6, "FI": 7, "FR": 8, "GR": 9, "IT": 10, "JP": 11, "LU": 12, "NL": 13,
    "PL": 14, "PT": 15, "CZ": 16, "GB": 17, "SE": 18, "CH": 19, "DK": 20, "US": 21, "NO": 23, "AU": 24, "IE": 26, "RE": 176,
}  # fmt: skip
_CURRENCIES = {"EUR": ("Euro", "€", "978"), "USD": ("US Dollar", "$", "840"), "GBP": ("British Pound", "£", "826")}
CLICK_AND_COLLECT, HOME_DELIVERY = 1, 2


def _row(path: str, **values: object) -> Row:
    unknown = values.keys() - RESOURCES[path].blank.keys()
    if unknown:
        raise ValueError(f"{path} has no field {', '.join(sorted(unknown))}")
    return {**RESOURCES[path].blank, **values}


def state_rows() -> list[Row]:
    """The 13 order states of a fresh shop, with their flags."""
    return [
        _row(
            "order_states",
            id=number,
            module_name=module,
            invoice=str(invoice),
            delivery=str(delivery),
            logable=str(logable),
            shipped=str(shipped),
            paid=str(paid),
            name=texts(english, french),
        )
        for number, english, french, invoice, delivery, logable, shipped, paid, module in _STATES
    ]


def country_rows(active: set[str]) -> list[Row]:
    """Countries; those the shop sells to are active."""
    return [
        _row("countries", id=number, iso_code=code, active="1" if code in active else "0", name=texts(code))
        for code, number in sorted(COUNTRY_IDS.items(), key=lambda item: item[1])
    ]


def currency_rows(code: str) -> list[Row]:
    """The shop's one currency."""
    name, symbol, number = _CURRENCIES.get(code, (code, code, ""))
    return [
        _row(
            "currencies",
            id=1,
            names=texts(name),
            name=name,
            symbol=texts(symbol),
            iso_code=code,
            numeric_iso_code=number,
        )
    ]


def language_rows() -> list[Row]:
    """1 English, 2 French."""
    return [
        _row(
            "languages",
            id=1,
            name="English (English)",
            iso_code="en",
            locale="en-US",
            language_code="en-us",
            date_format_lite="m/d/Y",
            date_format_full="m/d/Y H:i:s",
        ),
        _row("languages", id=2, name="Français (French)", iso_code="fr", locale="fr-FR", language_code="fr"),
    ]


def group_rows(created: str) -> list[Row]:
    """Visitors, guests, customers."""
    names = texts("Visitor", "Visiteur"), texts("Guest", "Invité"), texts("Customer", "Client")
    return [_row("groups", id=i, date_add=created, date_upd=created, name=name) for i, name in enumerate(names, 1)]


def carrier_rows() -> list[Row]:
    """Click and collect, and one delivery service."""
    return [
        _row(
            "carriers",
            id=CLICK_AND_COLLECT,
            id_reference="1",
            name="Click and collect",
            is_free="1",
            delay=texts("Pick up in-store", "Retrait en magasin"),
        ),
        _row(
            "carriers",
            id=HOME_DELIVERY,
            id_reference="2",
            name="Livraison à domicile",
            shipping_handling="1",
            position="1",
            delay=texts("Delivery next day!", "Livraison le lendemain"),
        ),
    ]


def shop_rows(name: str) -> list[Row]:
    """The one shop."""
    return [_row("shops", id=1, name=name)]


def configuration_rows(zone: str, created: str) -> list[Row]:
    """The settings a reader needs: above all the zone of every date."""
    values = (
        (6, "PS_CURRENCY_DEFAULT", "1"),
        (15, "PS_STOCK_MANAGEMENT", "1"),
        (26, "PS_TAX", "1"),
        (66, "PS_TIMEZONE", zone),
        (426, "PS_ORDER_RETURN", "1"),
    )
    return [
        _row("configurations", id=number, name=name, value=value, date_add=created, date_upd=created)
        for number, name, value in values
    ]


def tax_tables(rates_bp: list[int], country: str, created: str) -> tuple[list[Row], list[Row], list[Row]]:
    """Taxes, groups and rules: one of each per rate, with the ids 1, 2, ... in the order given, for the shop's country."""
    taxes, groups, rules = [], [], []
    for number, rate in enumerate(rates_bp, 1):
        percent = f"{rate / 100:g}%"
        taxes.append(
            _row("taxes", id=number, rate=f"{rate // 100}.{rate % 100:02d}0", name=texts(f"TVA {country} {percent}"))
        )
        groups.append(
            _row("tax_rule_groups", id=number, name=f"{country} Taux ({percent})", date_add=created, date_upd=created)
        )
        rules.append(
            _row(
                "tax_rules",
                id=number,
                id_tax_rules_group=str(number),
                id_country=str(COUNTRY_IDS[country]),
                id_tax=str(number),
            )
        )
    return taxes, groups, rules
