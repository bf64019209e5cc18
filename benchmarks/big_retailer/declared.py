"""retailer.yaml of the big retailer, and the settings that a run of it needs. Its only shop is a marketplace that drops files."""

from __future__ import annotations

from pathlib import Path

from benchmarks.big_retailer.world import Size

SECRET_KEY = "00" * 31 + "01"
_CALENDARS = """
  warehouse: {country: FR, working_days: [mon, tue, wed, thu, fri], opens: "06:00", closes: "20:00", cut_off: "14:00"}
  store: {country: FR, working_days: [mon, tue, wed, thu, fri, sat], opens: "10:00", closes: "19:00", cut_off: "16:00"}"""


def retailer_yaml(size: Size) -> str:
    """The declaration of a retailer of that many stores; its folders are under ``${ETALON_DROPS}``."""
    stores = "\n".join(
        f'  - {{code: {code}, name: Magasin {code}, kind: store, company: BR, gln: "{_gln(number)}", time_zone: Europe/Paris, '
        "calendar: store, handling_working_days: 0}"
        for number, code in enumerate(size.store_codes, start=1)
    )
    return f"""version: 1
retailer: {{code: big-retailer, name: Big Retailer, currency: EUR, languages: [fr]}}
companies:
  - {{code: BR, name: Big Retailer SAS, siren: "732829320", vat_id: FR44732829320, country: FR}}
calendars:{_CALENDARS}
locations:
  - {{code: WH1, name: Entrepôt, kind: warehouse, company: BR, gln: "{_gln(0)}", time_zone: Europe/Paris,
     calendar: warehouse, handling_working_days: 1}}
{stores}
channels:
  - {{code: marketplace, name: Place de marché, kind: web, company: BR, system: marketplace, time_zone: Europe/Paris,
     currency: EUR, tax_territory: FR, price_list: MKP, ships_from: WH1, stock_locations: [WH1], safety_stock_qty: 5,
     cap_qty: 50, sync_promise_minutes: 60,
     stock_stale_after_minutes: 1560, is_order_acknowledged: true}}
  - {{code: stores-fr, name: Magasins, kind: stores, company: BR, system: pos, time_zone: Europe/Paris, currency: EUR, tax_territory: FR,
     price_list: STORE-FR, stock_locations: [{", ".join(size.store_codes)}]}}
systems:
  - {{code: erp, kind: files, role: erp, company: BR, time_zone: Europe/Paris, folder: "${{ETALON_DROPS}}/erp",
     feeds: [erp_catalogue, erp_stock, erp_prices, erp_promotions, erp_movements, erp_acknowledgements]}}
  - {{code: pos, kind: files, role: pos, company: BR, time_zone: UTC, folder: "${{ETALON_DROPS}}/pos", feeds: [pos_tickets]}}
  - {{code: counts, kind: files, role: wms, company: BR, time_zone: UTC, folder: "${{ETALON_DROPS}}/counts", feeds: [stock_counts]}}
  - {{code: wms, kind: files, role: wms, company: BR, time_zone: Europe/Paris, folder: "${{ETALON_DROPS}}/wms",
     feeds: [wms_shipments, wms_returns]}}
  - {{code: carrier, kind: files, role: carrier, company: BR, time_zone: UTC, folder: "${{ETALON_DROPS}}/carrier", feeds: [carrier_scans]}}
  - {{code: marketplace, kind: files, role: marketplace, company: BR, time_zone: Europe/Paris, folder: "${{ETALON_DROPS}}/marketplace",
     feeds: [marketplace_orders, marketplace_refunds, marketplace_offers]}}
masters:
  product: {{default: [erp]}}
  stock: {{default: [erp]}}
  price: {{default: [erp]}}
  promotion: {{default: [erp]}}
  customer: {{default: [marketplace]}}
  order: {{default: [marketplace, pos]}}
parity_groups:
  - {{code: france, channels: [marketplace, stores-fr]}}
kpis:
  k1a: {{target_pct: 97, alert_pct: 90, minimum_coverage_pct: 1, tolerance_pct: 0}}
  k1b: {{target_pct: 99, alert_pct: 95, minimum_coverage_pct: 80}}
  k2: {{target_pct: 95, alert_pct: 90, minimum_coverage_pct: 80}}
  k3a: {{target_pct: 8, alert_pct: 12, minimum_coverage_pct: 80, window_days: 30}}
  k3b: {{target_pct: 98, alert_pct: 95, minimum_coverage_pct: 80, legal_refund_days: 14}}
  k4: {{target_pct: 99.5, alert_pct: 98, minimum_coverage_pct: 80}}
"""


def settings(folder: Path, now: str) -> dict[str, str]:
    """Environment of a run on the retailer in ``folder`` at the instant ``now``: its data are in ``folder/data``."""
    return {
        "ETALON_RETAILER": str(folder / "retailer.yaml"),
        "ETALON_DATA_DIR": str(folder / "data"),
        "ETALON_DROPS": str(folder / "drops"),
        "ETALON_SECRET_KEY": SECRET_KEY,
        "ETALON_NOW": now,
    }


def _gln(number: int) -> str:
    """A GLN with its check digit (GS1 General Specifications, 7.9)."""
    body = f"30123450{number:04d}"
    total = sum(int(digit) * (3 if place % 2 else 1) for place, digit in enumerate(body))
    return f"{body}{-total % 10}"
