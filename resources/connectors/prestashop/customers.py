"""Maps PrestaShop customers to customer: tokens instead of personal values. Passwords and keys are not even asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import polars as pl

from resources.connectors.prestashop.client import PrestaShopClient, Related
from resources.connectors.prestashop.facts import Notes, unless_forbidden
from resources.connectors.prestashop.lenient import decoder_of, without
from resources.connectors.prestashop.rows import Address, Customer
from resources.connectors.sdk.batches import entity_frame
from resources.connectors.sdk.decode import (
    Page,
    RawText,
    convert,
    local_instant,
    shape_rejects,
    source_positions,
)
from resources.connectors.sdk.personal import PersonalValues
from resources.connectors.sdk.stream import Batch
from resources.privacy import Tokeniser

DECODER = decoder_of(Customer)
_ADDRESSES = decoder_of(Address)
_ADDRESS_FIELDS = "[id,id_customer,id_country,phone,phone_mobile,deleted]"


def with_addresses(client: PrestaShopClient, page: Page[Customer], notes: Notes) -> Page[Customer]:
    """Read beside a page of customers their phones and countries: those of the latest address that was not deleted.

    A customer of whom an address cannot be read is refused.
    """
    found: Related[Address] = unless_forbidden(
        lambda: client.related(
            "addresses",
            "id_customer",
            {row.id for row in page.decoded.rows},
            _ADDRESSES,
            stream="customers",
            display=_ADDRESS_FIELDS,
        ),
        Related(),
        notes,
        "addresses",
        "phones and countries are left empty",
    )
    latest = {address.id_customer: address for address in found.rows if address.deleted != "1"}
    bodies = [(f"{page.name} addresses {n}", body) for n, body in enumerate(found.bodies, 1)]
    page = without(page, found.bad, DECODER, lambda row: row.id)
    return Page(page.name, page.body, page.decoded, {"addresses": latest, "bodies": bodies}, page.labels)


def to_batch(
    pages: Sequence[Page[Customer]], *, zone: str, countries: Mapping[int, str], tokeniser: Tokeniser
) -> Batch:
    """Map pages of customers. Grain: one row per customer; each guest order has one of its own."""
    raw_text = RawText(pages, DECODER)
    rows = [row for page in pages for row in page.decoded.rows]
    addresses: dict[int, Address] = {key: found for page in pages for key, found in page.extra["addresses"].items()}
    own = [addresses.get(row.id) for row in rows]

    def text(name: str, values: Sequence[str | None]) -> pl.Series:
        return pl.Series(name, values, dtype=pl.String)

    good, rejects = convert(
        pl.DataFrame(
            [
                text("customer_external_id", [str(row.id) for row in rows]),
                text("email", [row.email for row in rows]),
                text("full_name", [f"{row.firstname or ''} {row.lastname or ''}".strip() or None for row in rows]),
                text("phone", [(found.phone_mobile or found.phone or None) if found else None for found in own]),
                text("country_code", [countries.get(found.id_country) if found else None for found in own]),
                pl.Series("is_guest", [row.is_guest == "1" for row in rows], dtype=pl.Boolean),
                text("date_add", [row.date_add for row in rows]),
                text("date_upd", [row.date_upd for row in rows]),
                text("source_position", [text for page in pages for text in source_positions(page)]),
            ]
        ),
        [local_instant("created_at", zone, "date_add"), local_instant("updated_at", zone, "date_upd")],
        entity="customer",
        raw_text=raw_text,
    )
    personal = PersonalValues(tokeniser)
    frame = good.with_columns(
        personal.tokens(good["email"], "email").alias("email_token"),
        personal.tokens(good["phone"], "phone").alias("phone_token"),
        personal.tokens(good["full_name"], "name").alias("name_token"),
    )
    return Batch(
        received_qty=sum(page.decoded.received_qty for page in pages),
        raw=[pair for page in pages for pair in ((page.name, page.body), *page.extra["bodies"])],
        frames={"customer": entity_frame("customer", frame)},
        rejects=[*shape_rejects(pages, entity="customer"), *rejects],
        personal=personal.rows,
        raw_at=lambda position: (raw_text(position), ""),
    )
