"""docs/retailer.md explains every key that a model accepts and every variable that settings read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from resources.retailer import (
    Burst,
    Calendar,
    Channel,
    Company,
    FastLane,
    FilesSystem,
    GuardLimits,
    Guards,
    Identity,
    ImportedOrders,
    IncidentRules,
    KpiThreshold,
    Location,
    ParityGroup,
    PickupConfig,
    PrestaShopSystem,
    SilentSystem,
    WooCommerceSystem,
)
from resources.retailer.references import MASTER_ENTITIES, SCOPE_KINDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "retailer.md").read_text(encoding="utf-8")
WORDS = set(re.findall(r"[A-Za-z0-9_]+", " ".join(re.findall(r"`([^`\n]+)`", PAGE))))
MODELS = (
    Identity,
    Company,
    Calendar,
    Location,
    Channel,
    GuardLimits,
    Guards,
    FastLane,
    FilesSystem,
    PickupConfig,
    PrestaShopSystem,
    ImportedOrders,
    WooCommerceSystem,
    ParityGroup,
    KpiThreshold,
    IncidentRules,
    Burst,
    SilentSystem,
)


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_key_is_explained(model: type[BaseModel]) -> None:
    assert set(model.model_fields) <= WORDS


def test_every_entity_and_scope_is_explained() -> None:
    assert set(MASTER_ENTITIES) <= WORDS
    assert set(SCOPE_KINDS) - {"everywhere"} <= WORDS
    assert "everywhere:" in PAGE


def test_every_setting_is_explained() -> None:
    read = set(re.findall(r"ETALON_[A-Z_]+", (ROOT / "resources" / "settings.py").read_text(encoding="utf-8")))
    assert read == {word for word in WORDS if word.startswith("ETALON_")}
