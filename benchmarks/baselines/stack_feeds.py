"""The feeds of the files that the stack reads, as DuckDB queries to canonical columns: typed, instants in UTC, money in cents.

As a data engineer who knows both would write them for dlt: DuckDB reads and types, dlt takes Arrow batches. Bad rows are left out, unsaid.
Nothing of Étalon is imported.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
from lxml import etree

MACROS = """
create macro minor(t) as cast(try_cast(replace(t, ',', '.') as decimal(18, 2)) * 100 as bigint);
create macro seen_at(f) as strptime(regexp_extract(f, '([0-9]{14})[.][a-z]+$', 1), '%Y%m%d%H%M%S') at time zone 'UTC';
create macro iso(t) as cast(t as timestamptz);
-- of the hour that comes twice in autumn the first pass is meant
create macro paris(t) as least(t at time zone 'Europe/Paris', ((t - interval 1 hour) at time zone 'Europe/Paris') + interval 1 hour);
create macro french(t) as paris(strptime(t, '%d/%m/%Y %H:%M:%S'));
create macro here(t) as paris(cast(t as timestamp));
create macro net_of(gross, rate) as cast(sign(gross) as bigint) * ((abs(gross) * 20000 + 10000 + rate) // (20000 + 2 * rate));
"""

_ERP = "delim = ';', encoding = 'latin-1', comment = '#'"
_WMS = "delim = ';'"
_PLAIN = "delim = ','"

# CSV feed -> (system, pattern of its files, whether only the newest counts, how they are written).
FEEDS: dict[str, tuple[str, str, bool, str]] = {
    "erp_stock": ("erp", "INVRPT_*.csv", True, _ERP),
    "erp_prices": ("erp", "PRICES_*.csv", True, _ERP),
    "erp_promotions": ("erp", "PROMO_*.csv", True, _ERP),
    "erp_movements": ("erp", "INVMOV_*.csv", False, _ERP),
    "erp_acknowledgements": ("erp", "ORDRSP_*.csv", False, _ERP),
    "marketplace_orders": ("marketplace", "MKPORD_*.csv", False, _PLAIN),
    "marketplace_refunds": ("marketplace", "MKPREF_*.csv", False, _PLAIN),
    "marketplace_offers": ("marketplace", "MKPOFF_*.csv", True, _PLAIN),
    "wms_shipments": ("wms", "DESADV_*.csv", False, _WMS),
    "wms_returns": ("wms", "RETANN_*.csv", False, _WMS),
    "stock_counts": ("counts", "INVCNT_*.csv", False, _PLAIN),
}

_TICKET = (
    "{ticket: 'VARCHAR', store: 'VARCHAR', channel: 'VARCHAR', sold_at: 'VARCHAR', currency: 'VARCHAR', total: 'VARCHAR', "
    "lines: 'STRUCT(line VARCHAR, sku VARCHAR, name VARCHAR, qty BIGINT, unit_price VARCHAR, manual_discount VARCHAR, "
    "vat_rate VARCHAR, return_of VARCHAR)[]'}"
)
_SCANS = "{scans: 'STRUCT(id VARCHAR, carrier VARCHAR, tracking VARCHAR, event VARCHAR, \"at\" VARCHAR)[]'}"

# (feed, table, the key of which the latest row counts or none, query over the feed's rows).
TABLES: tuple[tuple[str, str, str, str], ...] = (
    (
        "erp_stock",
        "stock_level",
        "",
        """select depot as location_code, article as product_external_id, cast(stock as bigint) as on_hand_qty,
            cast(reserve_cde as bigint) as committed_qty, cast(reserve_autre as bigint) as reserved_qty,
            cast(avarie as bigint) as damaged_qty, net = 'O' as is_net, french(date_calcul) as as_of_at,
            french(dernier_mvt) as changed_at, observed_at from rows""",
    ),
    (
        "erp_prices",
        "price",
        "",
        """select tarif as price_list_code, article as product_external_id, devise as currency_code, minor(prix) as amount_minor,
            ttc = 'O' as is_vat_included, minor(tva) as tax_rate_bp, french(debut) as valid_from_at, french(fin) as valid_to_at,
            observed_at from rows""",
    ),
    (
        "erp_promotions",
        "promotion",
        "",
        """select promo as promotion_external_id, article as product_external_id, tarif as price_list_code,
            case type when 'PRIX' then 'fixed_price' when 'MONTANT' then 'amount_off' else 'percentage_off' end as method,
            case when type <> 'POURCENT' then minor(valeur) end as amount_minor,
            case when type = 'POURCENT' then minor(valeur) end as percentage_bp,
            devise as currency_code, french(debut) as starts_at, french(fin) as ends_at, cast(priorite as bigint) as priority,
            cumulable = 'O' as is_stackable, observed_at from rows""",
    ),
    (
        "erp_movements",
        "stock_movement",
        "",
        """select mvt as movement_external_id, depot as location_code, article as product_external_id,
            case type when 'OUV' then 'opening' when 'REC' then 'receipt' when 'VTE' then 'sale' when 'RET' then 'return'
                when 'TRF' then 'transfer' when 'AJU' then 'adjustment' when 'INV' then 'count_adjustment' else 'scrap' end as kind,
            cast(quantite as bigint) as quantity, french(date) as occurred_at, observed_at
        from rows where type in ('OUV', 'REC', 'VTE', 'RET', 'TRF', 'AJU', 'INV', 'REB')""",
    ),
    (
        "erp_acknowledgements",
        "order_acknowledgement",
        "channel_code, order_number",
        """select canal as channel_code, commande as order_number, french(date) as acknowledged_at, statut = 'OK' as is_accepted,
            motif as refusal_reason, observed_at from rows""",
    ),
    (
        "marketplace_offers",
        "channel_stock",
        "",
        """select 'marketplace' as channel_code, sku as product_external_id, cast(stock as bigint) as published_qty,
            true as is_stock_managed, is_active = 'true' as is_published, false as is_backorder_allowed, observed_at from rows""",
    ),
    (
        "marketplace_offers",
        "channel_price",
        "",
        """select 'marketplace' as channel_code, sku as product_external_id, currency as currency_code,
            minor(regular_price) as regular_minor, minor(price) as effective_minor, minor(vat_rate) as tax_rate_bp,
            is_active = 'true' as is_published, observed_at from rows""",
    ),
    (
        "marketplace_orders",
        "order_line",
        "order_external_id, line_external_id",
        """select order_id as order_external_id, line_id as line_external_id, sku as product_external_id, sku, name,
            cast(qty as bigint) as quantity,
            case when status = 'cancelled' then 0 else coalesce(cast(cancelled_qty as bigint), 0) end as cancelled_qty,
            case when status <> 'cancelled' and cast(cancelled_qty as bigint) > 0 then cancel_reason end as cancel_reason,
            case when status <> 'cancelled' and cast(cancelled_qty as bigint) > 0 then iso(cancelled_at) end as cancelled_at,
            net_of(minor(line_total), minor(vat_rate)) as net_minor,
            minor(line_total) - net_of(minor(line_total), minor(vat_rate)) as tax_minor,
            minor(unit_price) as unit_price_minor, 0 as manual_discount_minor, observed_at
        from rows where try_cast(qty as bigint) is not null""",
    ),
    (
        "marketplace_orders",
        "order",
        "order_external_id",
        """select order_id as order_external_id, 'marketplace' as channel_code, order_id as order_number,
            iso(any_value(ordered_at)) as ordered_at, iso(any_value(paid_at)) as payable_at,
            iso(any_value(case when status = 'cancelled' then cancelled_at end)) as cancelled_at,
            any_value(case when status = 'cancelled' then cancel_reason end) as cancel_reason,
            any_value(status) as status, any_value(currency) as currency_code,
            sum(minor(line_total)) + minor(any_value(shipping)) as total_minor, minor(any_value(shipping)) as shipping_minor,
            0 as fee_minor, 0 as discount_minor, any_value(token) as email_token, any_value(country) as country_code,
            'ship' as fulfilment_method, any_value(fulfilled_by) as fulfilled_by, iso(any_value(ship_by)) as promised_ship_by_at,
            observed_at
        from rows left join tokens using (email) where try_cast(qty as bigint) is not null group by order_id, observed_at""",
    ),
    (
        "marketplace_refunds",
        "refund",
        "",
        """select refund_id as refund_external_id, 'marketplace' as channel_code, order_id as order_external_id,
            order_id as order_number, return_id as return_external_id, currency as currency_code, minor(amount) as amount_minor,
            minor(shipping) as shipping_minor, iso(initiated_at) as initiated_at, observed_at from rows""",
    ),
    (
        "wms_shipments",
        "shipment_line",
        "shipment_external_id, line_number",
        """select shipment as shipment_external_id, cast(line as bigint) as line_number, order_line as order_line_external_id, sku,
            cast(qty as bigint) as quantity, observed_at from rows""",
    ),
    (
        "wms_shipments",
        "shipment",
        "shipment_external_id",
        """select shipment as shipment_external_id, any_value(channel) as channel_code, any_value("order") as order_number,
            any_value(location) as location_code, any_value(carrier) as carrier_code, any_value(tracking) as tracking_number,
            here(any_value(released_at)) as released_at, here(any_value(picked_at)) as picked_at,
            here(any_value(packed_at)) as packed_at, here(any_value(label_at)) as label_printed_at,
            here(any_value(confirmed_at)) as ship_confirmed_at, here(any_value(ready_at)) as ready_for_pickup_at,
            here(any_value(cancelled_at)) as cancelled_at, observed_at
        from rows group by shipment, observed_at""",
    ),
    (
        "wms_returns",
        "return_line",
        "return_external_id, line_number",
        """select "return" as return_external_id, cast(line as bigint) as line_number, kind, channel as channel_code,
            "order" as order_number, order_line as order_line_external_id, sku, cast(qty as bigint) as quantity,
            here(requested_at) as requested_at, here(proof_at) as proof_of_shipment_at, here(received_at) as received_at,
            here(inspected_at) as inspected_at, here(restocked_at) as restocked_at, disposition, reason as reason_code, resolution,
            location as receiving_location_code, observed_at from rows""",
    ),
    (
        "stock_counts",
        "stock_count_line",
        "",
        """select count_id as count_external_id, location as location_code, sku as product_external_id,
            cast(quantity as bigint) as counted_qty, iso(counted_at) as counted_at, reason as count_reason, observed_at from rows""",
    ),
    (
        "pos_tickets",
        "order",
        "",
        """select ticket as order_external_id, channel as channel_code, ticket as order_number, store as location_code,
            iso(sold_at) as ordered_at, iso(sold_at) as payable_at, 'delivered' as status, currency as currency_code,
            minor(total) as total_minor, 0 as shipping_minor, 0 as fee_minor, 0 as discount_minor,
            'carry_out' as fulfilment_method, 'retailer' as fulfilled_by, iso(sold_at) as updated_at, observed_at from rows""",
    ),
    (
        "pos_tickets",
        "order_line",
        "",
        """with amounts as (
            select *, qty * (minor(unit_price) - minor(manual_discount)) as gross, minor(vat_rate) as rate from items
        )
        select ticket as order_external_id, line as line_external_id, sku as product_external_id, sku, name, qty as quantity,
            0 as cancelled_qty, net_of(gross, rate) as net_minor, gross - net_of(gross, rate) as tax_minor,
            minor(unit_price) as unit_price_minor, minor(manual_discount) as manual_discount_minor,
            return_of as return_reference, observed_at from amounts""",
    ),
    (
        "carrier_scans",
        "carrier_scan",
        "",
        """select id as scan_external_id, carrier as carrier_code, tracking as tracking_number, event as kind,
            iso("at") as scanned_at, observed_at from rows""",
    ),
    (
        "erp_catalogue",
        "product",
        "",
        """select product_external_id, parent_external_id, sku, gtin, name, brand, category_code, kind, is_stock_tracked, is_active,
            minor(tax) as tax_rate_bp, weight_g, iso(modified) as updated_at, observed_at from rows""",
    ),
    (
        "erp_catalogue",
        "kit_component",
        "",
        """select product_external_id as kit_external_id, article as component_external_id, qty as component_qty, observed_at
        from items""",
    ),
)
ITEMS = {"pos_tickets": ("ticket", "lines"), "erp_catalogue": ("product_external_id", "components")}
"""Feed -> the key of its rows, and their nested list: `items` in the queries."""
SYSTEMS = {
    **{feed: declared[0] for feed, declared in FEEDS.items()},
    "pos_tickets": "pos",
    "carrier_scans": "carrier",
    "erp_catalogue": "erp",
}


class Queries:
    """The queries of ``TABLES`` on a connection. ``columns``: canonical table -> column -> DuckDB type."""

    def __init__(self, con: duckdb.DuckDBPyConnection, columns: dict[str, dict[str, str]], token_key: bytes) -> None:
        self.con = con
        self._columns = columns
        self._token_key = token_key
        con.execute("set TimeZone = 'UTC'")
        con.execute(MACROS)

    def query(self, feed: str, table: str, key: str, query: str) -> str:
        """The query of a table with all its columns and types; `rows` of the feed must be there, and `items` where it has some."""
        latest = f"qualify row_number() over (partition by {key} order by observed_at desc) = 1" if key else ""
        given = {
            "system_code": f"'{SYSTEMS[feed]}'",
            "extract_id": "''",
            "source_position": "''",
            "_stream": f"'{feed}'",
            "_row_version": "1",
            "_is_deleted": "false",
        }
        made = [column[0] for column in self.con.execute(f"{query} limit 0").description or []]
        listed = ", ".join(
            f'cast({given.get(name) or (name if name in made else "null")} as {kind}) as "{name}"'
            for name, kind in self._columns[table].items()
        )
        return f"select {listed} from (select * from ({query}) {latest})"

    def make_tokens(self) -> None:
        """Personal values are kept as keyed hashes only."""
        found = self.con.execute("select distinct email from rows where email is not null").fetchall()
        emails = [row[0] for row in found]
        tokens = [hmac.digest(self._token_key, mail.strip().casefold().encode(), "sha256").hex() for mail in emails]
        pairs = pa.table({"email": pa.array(emails, pa.string()), "token": pa.array(tokens, pa.string())})
        self.con.register("pairs", pairs)
        self.con.execute("create or replace temp table tokens as select * from pairs")
        self.con.unregister("pairs")


class Drops:
    """A folder of dropped files, read feed by feed by DuckDB itself: every row stays in columns."""

    def __init__(self, folder: Path, queries: Queries) -> None:
        self._folder = folder
        self._queries = queries
        self._con = queries.con
        self._loaded = ""

    def batches(self, feed: str, table: str, key: str, query: str) -> Iterator[pa.RecordBatch]:
        """The rows of a table that a feed gives, in Arrow batches with the table's columns and types."""
        if feed != self._loaded:
            self._read(feed)
            self._loaded = feed
        yield from self._con.execute(self._queries.query(feed, table, key, query)).to_arrow_reader(100_000)

    def _read(self, feed: str) -> None:
        if feed == "pos_tickets":
            reader = f"read_json('{self._folder}/pos/SLSRPT_*.jsonl', format = 'newline_delimited', columns = {_TICKET}, filename = true)"
        elif feed == "carrier_scans":
            largest = max(path.stat().st_size for path in (self._folder / "carrier").glob("IFTSTA_*.json"))
            inner = (
                f"read_json('{self._folder}/carrier/IFTSTA_*.json', columns = {_SCANS}, filename = true, "
                f"maximum_object_size = {max(largest, 1 << 23) * 2})"
            )
            reader = f"(select unnest(scans, recursive := true), filename from {inner})"
        elif feed == "erp_catalogue":
            path = newest(self._folder, "erp", "PRICAT_*.xml")
            self._con.register("articles", pa.Table.from_pylist(list(articles(path)), schema=_ARTICLES))
            reader = "articles"
        else:
            system, pattern, newest_only, options = FEEDS[feed]
            files = sorted(str(path) for path in (self._folder / system).glob(pattern))
            listed = ", ".join(f"'{path}'" for path in (files[-1:] if newest_only else files))
            columns = "{" + ", ".join(f"'{name}': 'VARCHAR'" for name in header(Path(files[0]), feed)) + "}"
            reader = f"read_csv([{listed}], header = true, auto_detect = false, filename = true, {options}, columns = {columns})"
        self._con.execute(
            f"create or replace temp table rows as select *, seen_at(filename) as observed_at from {reader}"
        )
        if feed in ITEMS:
            key, items = ITEMS[feed]
            self._con.execute(
                f"create or replace temp view items as select {key}, observed_at, unnest({items}, recursive := true) from rows"
            )
        if feed == "marketplace_orders":
            self._queries.make_tokens()


def newest(folder: Path, system: str, pattern: str) -> Path:
    """The last file of a full feed."""
    return max((folder / system).glob(pattern))


def separator(feed: str) -> str:
    """Between the cells of a CSV feed."""
    return ";" if "';'" in FEEDS[feed][3] else ","


def header(path: Path, feed: str) -> list[str]:
    """Column names of a CSV file."""
    with path.open(encoding="latin-1") as lines:
        return lines.readline().strip().split(separator(feed))


def articles(path: Path) -> Iterator[dict[str, object]]:
    """The articles of a catalogue."""
    for _, article in etree.iterparse(str(path), tag="article"):
        value = {child.tag: child.text for child in article}
        yield {
            "product_external_id": article.get("code"),
            "parent_external_id": value["parent"],
            "sku": value["sku"],
            "gtin": value["gtin"],
            "name": value["libelle"],
            "brand": value["marque"],
            "category_code": value["famille"],
            "kind": article.get("kind"),
            "is_stock_tracked": article.get("suivi_stock") == "true",
            "is_active": article.get("actif") == "true",
            "tax": value["tva"],
            "weight_g": int(value["poids_g"] or 0),
            "modified": value["modifie"],
            "filename": path.name,
            "components": [
                {"article": part.get("article"), "qty": int(part.get("qte", "0"))}
                for part in article.iterfind("composants/composant")
            ],
        }
        article.clear()


ARTICLE_TEXTS = (
    "product_external_id", "parent_external_id", "sku", "gtin", "name", "brand", "category_code", "kind", "tax", "modified", "filename",
)  # fmt: skip
_ARTICLES = pa.schema(
    [
        *((name, pa.string()) for name in ARTICLE_TEXTS),
        ("is_stock_tracked", pa.bool_()),
        ("is_active", pa.bool_()),
        ("weight_g", pa.int64()),
        ("components", pa.list_(pa.struct([("article", pa.string()), ("qty", pa.int64())]))),
    ]
)
