"""Every word of the report, in French and in English: one table, so that a missing translation is seen at once."""

from __future__ import annotations

from typing import Final

LANGUAGES: Final = ("fr", "en")

# key -> (French, English)
WORDS: Final[dict[str, tuple[str, str]]] = {
    "title": ("Étalon — les indicateurs du jour", "Étalon — today's indicators"),
    "as_of": ("Données au", "Data as of"),
    "summary": ("En bref", "At a glance"),
    "trend": ("Tendance par jour", "Trend by day"),
    "by_location": ("Par lieu", "By location"),
    "by_channel": ("Par canal", "By channel"),
    "work_list": ("À traiter", "To do"),
    "work_list_of": ("premières lignes sur", "first rows of"),
    "nothing_to_do": ("Rien à traiter.", "Nothing to do."),
    "target": ("objectif", "target"),
    "alert": ("alerte", "alert"),
    "coverage": ("couverture", "coverage"),
    "version": ("version", "version"),
    "formula": ("Formule :", "Formula:"),
    "excluded": ("Écartés du calcul", "Left out of the figure"),
    "nothing_excluded": ("Aucune ligne écartée.", "No row left out."),
    "no_trend": ("Pas encore assez de jours pour une tendance.", "Not enough days for a trend yet."),
    "no_breakdown": ("Aucun détail mesurable.", "Nothing measurable to break down."),
    "good": ("Objectif tenu", "On target"),
    "watch": ("À surveiller", "Watch"),
    "status_alert": ("Alerte", "Alert"),
    "not_measurable": ("Non mesurable", "Not measurable"),
    "no_observation": ("aucune observation", "no observation"),
    "low_coverage": ("couverture trop faible", "coverage too low"),
    "legend": ("tirets verts : objectif, tirets rouges : alerte", "green dashes: target, red dashes: alert"),
    "footer": (
        "Chaque valeur est un quotient d'entiers ; les lignes écartées sont comptées par motif. Définitions : table kpis.kpi_catalog.",
        "Each value is a quotient of integers; rows left out are counted by reason. Definitions: table kpis.kpi_catalog.",
    ),
}

# Work list columns and reasons for leaving rows out: code -> (French, English)
COLUMNS: Final[dict[str, tuple[str, str]]] = {
    "work_rank": ("rang", "rank"),
    "age_bucket": ("tranche de retard", "age"),
    "book_qty": ("théorique", "book"),
    "channel_code": ("canal", "channel"),
    "count_external_id": ("comptage", "count"),
    "counted_at": ("compté le", "counted"),
    "counted_qty": ("compté", "counted quantity"),
    "difference_minor": ("écart", "difference"),
    "direction": ("sens", "direction"),
    "expected_minor": ("prix attendu", "expected price"),
    "expected_qty": ("attendu", "expected"),
    "kind": ("nature", "kind"),
    "line_number": ("ligne", "line"),
    "location_code": ("lieu", "location"),
    "observation_qty": ("observations", "observations"),
    "observed_at": ("observé le", "observed"),
    "observed_minor": ("prix observé", "observed price"),
    "order_number": ("commande", "order"),
    "overdue_days": ("jours de retard", "days overdue"),
    "overdue_hours": ("heures de retard", "hours overdue"),
    "overdue_units": ("unités en retard", "units overdue"),
    "product_external_id": ("article du canal", "channel's item"),
    "product_id": ("produit", "product"),
    "promised_ship_by_at": ("promis pour", "promised by"),
    "promotion_external_id": ("promotion", "promotion"),
    "proof": ("calcul", "proof"),
    "published_qty": ("publié", "published"),
    "quantity": ("quantité", "quantity"),
    "received_at": ("reçu le", "received"),
    "receiving_location_code": ("reçu à", "received at"),
    "refund_due_at": ("à rembourser avant", "refund due"),
    "requested_at": ("demandé le", "requested"),
    "return_external_id": ("retour", "return"),
    "sku": ("référence", "SKU"),
    "state": ("état", "state"),
    "units": ("unités", "units"),
    "units_at_risk": ("unités en jeu", "units at risk"),
    "value_at_risk_minor": ("montant en jeu", "value at risk"),
    "variance_qty": ("écart", "variance"),
    "verdict": ("constat", "verdict"),
}
REASONS: Final[dict[str, tuple[str, str]]] = {
    "ambiguous": ("promotions à égalité", "tied promotions"),
    "cancelled_by_customer": ("annulé par le client", "cancelled by the customer"),
    "count_on_suspicion": ("compté sur soupçon", "counted on suspicion"),
    "currency_mismatch": ("autre devise", "other currency"),
    "deferred": ("marchandise attendue", "waiting for the goods"),
    "exchange": ("échange", "exchange"),
    "fulfilled_by_other": ("expédié par un tiers", "shipped by someone else"),
    "gift_card": ("carte cadeau", "gift card"),
    "in_flight": ("en cours de synchronisation", "in flight"),
    "inactive_product": ("produit inactif", "inactive product"),
    "kit_without_components": ("lot sans composants", "kit without components"),
    "more_than_shipped": ("plus rendu qu'expédié", "more returned than shipped"),
    "no_book": ("aucun mouvement connu", "no movement known"),
    "no_calendar": ("hors calendrier", "beyond the calendar"),
    "no_expected_price": ("pas de prix de référence", "no expected price"),
    "no_handover_record": (
        "expédié selon le canal, remise au transporteur inconnue",
        "shipped says the channel, hand-over unknown",
    ),
    "no_observed_price": ("pas de prix affiché", "no price shown"),
    "no_request_date": ("date de demande inconnue", "request date unknown"),
    "no_stock_record": ("aucun stock connu", "no stock record"),
    "none": ("sans suite", "no resolution"),
    "not_due": ("pas encore dû", "not due yet"),
    "not_listed": ("hors assortiment", "not in the assortment"),
    "not_managed_on_channel": ("stock non géré par le canal", "stock not managed on the channel"),
    "not_payable": ("paiement en attente", "payment pending"),
    "not_published": ("non publié", "not published"),
    "not_received": ("pas encore reçu", "not received yet"),
    "not_stock_tracked": ("sans suivi de stock", "stock not tracked"),
    "orphan": ("inconnu du référentiel", "unknown to the referential"),
    "payment_failed": ("paiement échoué", "payment failed"),
    "refunded_before_shipping": ("remboursé avant expédition", "refunded before shipping"),
    "refund_only": ("remboursé sans retour", "refund without return"),
    "service": ("service", "service"),
    "stale": ("données trop anciennes", "data too old"),
    "store_credit": ("avoir", "store credit"),
    "undeliverable": ("non distribuable", "undeliverable"),
    "unknown_location": ("lieu inconnu", "unknown location"),
    "unknown_product": ("produit inconnu", "unknown product"),
}


def label(kind: dict[str, tuple[str, str]], code: str, language: str) -> str:
    """A column's or reason's name; a code that the table does not hold yet is shown as it is, underscores as spaces."""
    french, english = kind.get(code, (code.replace("_", " "), code.replace("_", " ")))
    return {"fr": french, "en": english}[language]


def word(key: str, language: str) -> str:
    """The word for ``key``. Raises KeyError for a word the table does not hold."""
    french, english = WORDS[key]
    return {"fr": french, "en": english}[language]
