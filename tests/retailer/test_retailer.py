"""What a sound retailer.yaml becomes."""

from __future__ import annotations

from datetime import time
from decimal import Decimal
from pathlib import Path

import pytest

from resources.errors import ConfigurationError
from resources.retailer import FilesSystem, PrestaShopSystem, WooCommerceSystem, load_retailer
from tests.retailer.declared import TEXT, VARIABLES, retailer, with_change


def test_codes_lead_to_what_they_name() -> None:
    declared = retailer()
    assert declared.channel("web-be").stock_locations == ("WH1", "S11")
    assert declared.location("S10").time_zone == "Indian/Reunion"
    assert declared.company("ML-FR").siren == "732829320"
    assert declared.calendar_of(declared.location("WH1")).cut_off == time(14)
    assert declared.kpis["k4"].target_pct == Decimal("99.5")


def test_a_code_that_names_nothing_is_told_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError, match=r"no channel web_fr in retailer\.yaml, did you mean web-fr"):
        retailer().channel("web_fr")


def test_each_kind_of_system_has_its_own_options() -> None:
    declared = retailer()
    erp, shop_fr, shop_be = declared.system("erp"), declared.system("shop_fr"), declared.system("shop_be")
    assert isinstance(erp, FilesSystem)
    assert erp.folder == Path("/drops/erp")
    assert isinstance(shop_fr, PrestaShopSystem)
    assert shop_fr.url == "http://127.0.0.1:8001"
    assert shop_fr.imported_orders is not None
    assert shop_fr.imported_orders.channel == "marketplace"
    assert isinstance(shop_be, WooCommerceSystem)
    assert shop_be.secret.get_secret_value() == "secret-of-be"


def test_a_woocommerce_may_have_states_and_an_address_of_its_own() -> None:
    text = with_change(
        "channel: web-be, requests_per_second: 1000",
        "channel: web-be, requests_per_second: 1000, statuses: {dispatched: shipped, wc-on-order: payable}, permalinks: plain, "
        "home_url: https://boutique.example/",
    )
    shop = retailer(text).system("shop_be")
    assert isinstance(shop, WooCommerceSystem)
    assert dict(shop.statuses) == {"dispatched": "shipped", "wc-on-order": "payable"}
    assert (shop.permalinks, shop.home_url) == ("plain", "https://boutique.example")


def test_secrets_do_not_show() -> None:
    shown = repr(retailer()) + str(retailer().system("shop_be").model_dump())
    assert "key-of" not in shown
    assert "secret-of" not in shown


def test_master_rules_keep_their_order_and_scope() -> None:
    text = with_change(
        "weight_g: [erp, shop_fr]",
        "weight_g: {everywhere: [erp], company: {ML-BE: [shop_be, erp]}, category: {lamps: [shop_fr]}}",
    )
    rules = [rule for rule in retailer(text).masters if rule.attribute == "weight_g"]
    assert [(rule.scope_kind, rule.scope_code, rule.systems) for rule in rules] == [
        ("everywhere", None, ("erp",)),
        ("company", "ML-BE", ("shop_be", "erp")),
        ("category", "lamps", ("shop_fr",)),
    ]
    assert retailer().first_master("stock").code == "erp"


def test_plain_yaml_scalars_keep_the_text_that_was_written() -> None:
    # YAML 1.1 would read 06:00 as 360 and the country NO as false.
    text = with_change(
        'opens: "06:00", closes: "20:00", cut_off: "14:00"', "opens: 06:00, closes: 20:00, cut_off: 14:00"
    )
    assert retailer(text).calendars["fr-warehouse"].opens == time(6)
    norwegian = with_change("be-store: {country: BE", "be-store: {country: NO")
    assert retailer(norwegian).calendars["be-store"].country == "NO"


def test_the_same_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "retailer.yaml"
    path.write_text(TEXT, encoding="utf-8")
    assert load_retailer(path, VARIABLES).identity.code == "maison-lumiere"


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="there is no such file"):
        load_retailer(tmp_path / "none.yaml", VARIABLES)


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    path = tmp_path / "retailer.yaml"
    path.write_bytes("name: Lumière".encode("latin-1"))
    with pytest.raises(ConfigurationError, match="byte 10 is not UTF-8"):
        load_retailer(path, VARIABLES)
