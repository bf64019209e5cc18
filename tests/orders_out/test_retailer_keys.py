"""`sends` and `out_folder` in retailer.yaml: given a mistake, expect to be told what was expected."""

from __future__ import annotations

import pytest

from resources.errors import ConfigurationError
from resources.retailer import FilesSystem
from tests.retailer.declared import TEXT, retailer

SENDS = 'sends: [erp_orders], out_folder: "${ETALON_DROPS}/to_erp"'


def test_the_project_sends_its_erp_orders() -> None:
    erp = retailer().system("erp")
    assert isinstance(erp, FilesSystem)
    assert (erp.sends, str(erp.out_folder), erp.sends_since) == (("erp_orders",), "/drops/to_erp", None)


@pytest.mark.parametrize(
    ("instead", "told"),
    [
        ("sends: [erp_orders]", "out_folder"),
        ('sends: [erp_order], out_folder: "/x"', "erp_orders"),
        ('sends: [erp_orders, erp_orders], out_folder: "/x"', "has it already"),
        ('sends: [erp_orders], out_folder: "${ETALON_DROPS}/erp/out"', "outside folder"),
        ('sends: [erp_orders], out_folder: "/x", sends_since: "2026-06-01T00:00:00"', "sends_since"),
    ],
)
def test_a_mistake_is_told(instead: str, told: str) -> None:
    assert SENDS in TEXT
    with pytest.raises(ConfigurationError, match=told):
        retailer(TEXT.replace(SENDS, instead))
