"""The retailer, declared: retailer.yaml as typed, frozen, cross-checked models. Nothing here knows how a system speaks."""

from resources.retailer.fast_lane import FastLane
from resources.retailer.guards import GuardLimits, Guards
from resources.retailer.incident_rules import Burst, IncidentRules, SilentSystem
from resources.retailer.loading import load_retailer, parse_retailer
from resources.retailer.mistakes import ConfigurationErrors, Mistake
from resources.retailer.model import (
    Calendar,
    Channel,
    Company,
    Identity,
    KpiThreshold,
    Location,
    MasterRule,
    ParityGroup,
    Retailer,
)
from resources.retailer.systems import (
    Declared,
    FilesSystem,
    ImportedOrders,
    PickupConfig,
    PrestaShopSystem,
    SystemConfig,
    WooCommerceSystem,
)

__all__ = [
    "Burst",
    "Calendar",
    "Channel",
    "Company",
    "ConfigurationErrors",
    "Declared",
    "FastLane",
    "FilesSystem",
    "GuardLimits",
    "Guards",
    "Identity",
    "ImportedOrders",
    "IncidentRules",
    "KpiThreshold",
    "Location",
    "MasterRule",
    "Mistake",
    "ParityGroup",
    "PickupConfig",
    "PrestaShopSystem",
    "Retailer",
    "SilentSystem",
    "SystemConfig",
    "WooCommerceSystem",
    "load_retailer",
    "parse_retailer",
]
