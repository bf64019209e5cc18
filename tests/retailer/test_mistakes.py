"""Given a mistake in retailer.yaml, expect its path, its line, what was found, what was expected, and the name meant."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from resources.errors import ConfigurationError
from resources.retailer import ConfigurationErrors, Mistake, parse_retailer
from tests.retailer.declared import TEXT, VARIABLES, line_of, with_change


def mistakes_in(
    text: str, variables: dict[str, str] | None = None, feeds: set[str] | None = None
) -> tuple[Mistake, ...]:
    with pytest.raises(ConfigurationErrors) as caught:
        parse_retailer(text, VARIABLES if variables is None else variables, known_feeds=feeds)
    return caught.value.mistakes


class Case(NamedTuple):
    given: str
    instead: str
    path: str
    found: str
    expected: str
    meant: str | None = None


CASES = {
    "company misspelt": Case(
        "kind: warehouse, company: ML-FR",
        "kind: warehouse, company: ML-RF",
        "locations[0].company",
        "'ML-RF'",
        "one of companies (ML-BE, ML-FR)",
        "ML-FR",
    ),
    "calendar unknown": Case(
        "calendar: alsace-store",
        "calendar: alsace-stores",
        "locations[3].calendar",
        "'alsace-stores'",
        "one of calendars (alsace-store, be-store, fr-store, fr-warehouse, reunion-store)",
        "alsace-store",
    ),
    "pool names an unknown location": Case(
        "stock_locations: [WH1, S11]",
        "stock_locations: [WH1, S99]",
        "channels[1].stock_locations[1]",
        "'S99'",
        "one of locations (13 are declared)",
        "S09",
    ),
    "pool names a location twice": Case(
        "stock_locations: [WH1, S11]",
        "stock_locations: [WH1, WH1]",
        "channels[1].stock_locations[1]",
        "'WH1'",
        "a value of its own: line 36 has it already",
    ),
    "channel read by an unknown system": Case(
        "system: shop_be, time_zone",
        "system: shop-be, time_zone",
        "channels[1].system",
        "'shop-be'",
        "one of systems (carrier, counts, erp, marketplace, pos, shop_be, shop_fr, wms)",
        "shop_be",
    ),
    "zone misspelt": Case(
        "time_zone: Indian/Reunion",
        "time_zone: Indian/Réunion",
        "locations[10].time_zone",
        "'Indian/Réunion'",
        "an IANA time zone such as Europe/Paris",
        "Indian/Reunion",
    ),
    "key misspelt at the top": Case(
        "languages",
        "x_languages",
        "retailer.x_languages",
        "an unknown key",
        "one of code, currency, history_from, languages, name",
        "languages",
    ),
    "currency in lower case": Case(
        "currency: EUR, tax_territory: BE, price_list: WEB-BE",
        "currency: eur, tax_territory: BE, price_list: WEB-BE",
        "channels[1].currency",
        "'eur'",
        "an ISO 4217 currency such as EUR",
        "EUR",
    ),
    "GLN check digit": Case(
        'gln: "3012345000109"',
        'gln: "3012345000100"',
        "locations[1].gln",
        "'3012345000100'",
        "a GLN whose check digit is right: after 301234500010 comes 9",
    ),
    "SIREN check digit": Case(
        'siren: "732829320"',
        'siren: "732829321"',
        "companies[0].siren",
        "'732829321'",
        "a SIREN whose check digit is right (Luhn over its 9 digits)",
    ),
    "French VAT key": Case(
        "vat_id: FR44732829320",
        "vat_id: FR45732829320",
        "companies[0].vat_id",
        "'FR45732829320'",
        "a French VAT number whose key is right: for SIREN 732829320 it is FR44",
    ),
    "Belgian VAT check digits": Case(
        "vat_id: BE0403170701",
        "vat_id: BE0403170702",
        "companies[1].vat_id",
        "'BE0403170702'",
        "a Belgian VAT number whose check digits are right: after BE04031707 come 01",
    ),
    "holiday region unknown": Case(
        'subdivision: "974"',
        'subdivision: "9740"',
        "calendars.reunion-store",
        "a mapping",
        "a subdivision of FR with its own holidays",
        "974",
    ),
    "cut-off after closing": Case(
        'closes: "20:00", cut_off: "14:00"',
        'closes: "20:00", cut_off: "21:00"',
        "calendars.fr-warehouse",
        "a mapping",
        "opens before cut_off, and cut_off not after closes",
    ),
    "hour that is none": Case(
        'opens: "06:00"',
        'opens: "6h"',
        "calendars.fr-warehouse.opens",
        "'6h'",
        "a local time hh:mm between 00:00 and 23:59",
    ),
    "day that is none": Case(
        "working_days: [mon, tue, wed, thu, fri],",
        "working_days: [mon, tue, wen, thu, fri],",
        "calendars.fr-warehouse.working_days[2]",
        "'wen'",
        "one of mon, tue, wed, thu, fri, sat, sun",
        "wed",
    ),
    "key misspelt": Case(
        "safety_stock_qty: 2",
        "safety_stok_qty: 2",
        "channels[0].safety_stok_qty",
        "an unknown key",
        "one of cap_qty, code, company",
        "safety_stock_qty",
    ),
    "number that is none": Case("cap_qty: 20", "cap_qty: twenty", "channels[1].cap_qty", "'twenty'", "a whole number"),
    "number below its least": Case(
        "safety_stock_qty: 1",
        "safety_stock_qty: -1",
        "channels[1].safety_stock_qty",
        "'-1'",
        "greater than or equal to 0",
    ),
    "web channel without a promise": Case(
        "sync_promise_minutes: 30, ", "", "channels[1]", "a mapping", "sync_promise_minutes for a channel of kind web"
    ),
    "store channel that sells from a warehouse": Case(
        "stock_locations: [S11, S12]",
        "stock_locations: [WH1, S12]",
        "channels[4].stock_locations[0]",
        "'WH1'",
        "a store; WH1 is a warehouse",
    ),
    "kind of system nobody knows": Case(
        "kind: prestashop",
        "kind: prestashops",
        "systems[6].kind",
        "'prestashops'",
        "a known kind: files, ",
        "prestashop",
    ),
    "key of another kind of system": Case(
        "language_id: 2",
        "consumer: 2",
        "systems[6].consumer",
        "an unknown key",
        "one of ca_bundle, channel, code, company",
    ),
    "proxy without its address": Case(
        "language_id: 2",
        "proxy: hunter2",
        "systems[6].proxy",
        "a secret that is not shown",
        "a proxy http://[user:password@]host[:port]",
    ),
    "shop without its key": Case(
        ', key: "${ETALON_SHOP_FR_KEY}"', "", "systems[6].key", "nothing", "this key, which is required"
    ),
    "shop of another channel": Case(
        "channel: web-be, requests_per_second",
        "channel: web-fr, requests_per_second",
        "systems[7].channel",
        "'web-fr'",
        "a channel whose system is shop_be; web-fr's is shop_fr",
    ),
    "two systems of one code": Case(
        "code: counts", "code: pos", "systems[2].code", "'pos'", "a value of its own: line 48 has it already"
    ),
    "master that no system is": Case(
        "name: [shop_fr, shop_be, erp]",
        "name: [shop_fr, pim, erp]",
        "masters.product.name[1]",
        "'pim'",
        "one of systems (carrier, counts, erp, marketplace, pos, shop_be, shop_fr, wms)",
    ),
    "master of an attribute nobody has": Case(
        "weight_g: [erp, shop_fr]",
        "weight: [erp, shop_fr]",
        "masters.product.weight",
        "'weight'",
        "an attribute of product",
        "weight_g",
    ),
    "master of an entity nobody has": Case(
        "promotion: {default: [erp]}",
        "promotions: {default: [erp]}",
        "masters.promotions",
        "'promotions'",
        "an entity: product, stock, price, promotion, customer, order",
        "promotion",
    ),
    "masters without default": Case(
        "price: {default: [erp]}", "price: {amount_minor: [erp]}", "masters.price", "no default", "a default"
    ),
    "scope of an unknown company": Case(
        "weight_g: [erp, shop_fr]",
        "weight_g: {everywhere: [erp], company: {ML-DE: [shop_be]}}",
        "masters.product.weight_g.company.ML-DE",
        "'ML-DE'",
        "one of companies (ML-BE, ML-FR)",
        "ML-BE",
    ),
    "scope of an unknown kind": Case(
        "weight_g: [erp, shop_fr]",
        "weight_g: {chanel: {web-fr: [erp]}}",
        "masters.product.weight_g.chanel",
        "'chanel'",
        "a scope (category, channel, company, everywhere)",
        "channel",
    ),
    "parity with a channel that is none": Case(
        "channels: [web-fr, web-be]",
        "channels: [web-fr, web-de]",
        "parity_groups[1].channels[1]",
        "'web-de'",
        "one of channels",
        "web-be",
    ),
    "KPI nobody computes": Case("k4: {target", "k5: {target", "kpis.k5", "'k5'", "one of k1a, k1b, k2, k3a, k3b, k4"),
    "share above a hundred": Case(
        "target_pct: 97", "target_pct: 197", "kpis.k1a.target_pct", "'197'", "a share in percent"
    ),
    "KPI without what it is computed with": Case(
        ", window_days: 30", "", "kpis.k3a.window_days", "nothing", "window_days, which k3a is computed with"
    ),
    "key twice": Case("k2: {target_pct: 95,", "k1b: {target_pct: 95,", "kpis.k1b", "the key twice", "it once"),
    "state of orders that Étalon does not have": Case(
        "channel: web-be, requests_per_second",
        "channel: web-be, statuses: {dispatched: sent}, requests_per_second",
        "systems[7].statuses.dispatched",
        "'sent'",
        "one of pending, on_hold, payable, shipped",
    ),
    "another version of the format": Case("version: 1", "version: 2", "version", "'2'", "less than or equal to 1"),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_mistake_is_told(case: Case) -> None:
    text = with_change(case.given, case.instead)
    found = {mistake.dotted_path: mistake for mistake in mistakes_in(text)}
    assert case.path in found, [str(mistake) for mistake in found.values()]
    mistake = found[case.path]
    assert case.found in mistake.found
    assert case.expected in mistake.expected
    assert mistake.suggestion == case.meant or case.meant is None
    assert abs(mistake.line - line_of(TEXT, case.given)) <= case.given.count("\n") + 1


def test_the_message_reads_as_one_line_a_mistake() -> None:
    text = with_change("calendar: alsace-store", "calendar: alsace-stores")
    (mistake,) = mistakes_in(text)
    line = line_of(text, "alsace-stores")
    assert str(mistake) == (
        f"line {line}: locations[3].calendar: found 'alsace-stores', expected one of calendars "
        "(alsace-store, be-store, fr-store, fr-warehouse, reunion-store), did you mean alsace-store?"
    )


def test_all_mistakes_are_told_at_once_in_the_order_of_the_file() -> None:
    text = TEXT.replace("calendar: alsace-store", "calendar: nowhere").replace("cap_qty: 50", "cap_qty: many")
    text = text.replace("time_zone: UTC, folder", "time_zone: Utopia, folder", 1).replace(
        "code: europe", "code: france"
    )
    paths = [mistake.dotted_path for mistake in mistakes_in(text)]
    assert paths == [
        "locations[3].calendar",
        "channels[0].cap_qty",
        "systems[1].time_zone",
        "parity_groups[1].code",
    ]


def test_a_missing_variable_is_named() -> None:
    variables = {name: value for name, value in VARIABLES.items() if name != "ETALON_SHOP_FR_KEY"}
    (mistake,) = mistakes_in(TEXT, variables)
    assert mistake.dotted_path == "systems[6].key"
    assert mistake.expected == "the variable ETALON_SHOP_FR_KEY in the environment or the .env file"


def test_a_value_from_a_variable_is_not_shown() -> None:
    (mistake,) = mistakes_in(TEXT, {**VARIABLES, "ETALON_SHOP_FR_URL": "ftp://user:hush@shop"})
    assert mistake.dotted_path == "systems[6].url"
    assert mistake.found == "'${ETALON_SHOP_FR_URL}'"
    assert "hush" not in str(mistake)


def test_a_secret_is_not_shown() -> None:
    mistakes = mistakes_in(with_change('key: "${ETALON_SHOP_FR_KEY}"', "key: [hush]"))
    assert [mistake.dotted_path for mistake in mistakes] == ["systems[6].key"]
    assert "hush" not in str(mistakes[0])


def test_a_feed_nobody_declares_is_told() -> None:
    feeds = set("erp_catalogue erp_stock erp_prices erp_promotions erp_movements erp_purchase_orders".split())
    feeds |= set("erp_acknowledgements pos_tickets stock_counts wms_shipments wms_returns".split())
    feeds |= set("marketplace_orders marketplace_refunds carrier_scan".split())
    (mistake,) = mistakes_in(TEXT, feeds=feeds)
    assert (mistake.dotted_path, mistake.suggestion) == ("systems[4].feeds[0]", "carrier_scan")


@pytest.mark.parametrize("text", ["", "# nothing\n", "- a list\n", "just words"])
def test_a_file_that_declares_nothing(text: str) -> None:
    assert mistakes_in(text)[0].found == "no mapping"


def test_broken_yaml_is_told_with_its_line() -> None:
    (mistake,) = mistakes_in("version: 1\nretailer: {code: x\ncompanies: []\n")
    assert mistake.expected == "well-formed YAML"
    assert mistake.line == 3


def test_the_error_is_a_configuration_error_that_says_what_to_do() -> None:
    with pytest.raises(ConfigurationError, match=r"docs/retailer\.md explains every key"):
        parse_retailer(with_change("version: 1", "version: one"), VARIABLES)
