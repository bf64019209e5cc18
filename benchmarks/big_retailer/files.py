"""How the systems of the big retailer tell what happened, as files: all of it up to an instant, or what is new since another.

The dialects are those of the feeds in resources/feeds. One row in a thousand of two feeds is broken, and one order or parcel in ten
is told twice, the second time as it ended: what every reader of such files has to live with.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl

from benchmarks.big_retailer.world import DAYS, INSTANT, LATER, NOW, World
from sandbox.drops.files import (
    Dialect,
    DropFile,
    csv_file,
    decimal,
    decimal_text,
    file_name,
    french_time,
    iso_time,
    local_time,
)

_ERP, _WMS = Dialect(), Dialect(encoding="utf-8", has_trailer=False)
_PLAIN = Dialect(separator=",", encoding="utf-8", has_trailer=False)
_WEEK, _MONTH = 7, 30


@dataclass(frozen=True)
class Period:
    """What is told: everything known at ``until``, or of that what is new or moved since ``since``."""

    until: datetime
    since: datetime | None = None


HISTORY, CHANGES = Period(NOW), Period(LATER, NOW)


def drop_files(world: World, period: Period) -> Iterator[DropFile]:
    """Every file of a period, one at a time."""
    yield _catalogue(world, period)
    yield from _stock_and_offers(world, period)
    yield _prices(world, period)
    yield _promotions(world, period)
    yield from _movements(world, period)
    yield from _marketplace_orders(world, period)
    yield from _acknowledgements(world, period)
    yield from _shipments(world, period)
    yield from _scans(world, period)
    yield from _returns(world, period)
    yield from _refunds(world, period)
    yield from _counts(world, period)
    yield from _tickets(world, period)


# -- what an instant knows ---------------------------------------------------------------------------------------------


def _known(column: str, period: Period) -> pl.Expr:
    """An instant, null while it is to come."""
    return pl.when(pl.col(column) <= pl.lit(period.until).cast(INSTANT)).then(pl.col(column)).alias(column)


def _told(frame: pl.DataFrame, period: Period, first: str, *later: str) -> pl.DataFrame:
    """Rows that exist by the end of the period, what is to come left out; of a day of changes those that something happened to.

    `seen_at` is when a row first was told.
    """
    until = pl.lit(period.until).cast(INSTANT)
    rows = frame.filter(pl.col(first) <= until).with_columns(
        pl.col(first).alias("seen_at"), *(_known(name, period) for name in later)
    )
    if period.since is None:
        return rows
    return rows.filter(pl.max_horizontal(first, *later) > pl.lit(period.since).cast(INSTANT))


def _in_files(frame: pl.DataFrame, period: Period, days: int) -> Iterator[tuple[int, datetime, pl.DataFrame]]:
    """(sequence, when it was sent, rows): one file for so many days; of a day of changes one file, after those of the history."""
    cuts = [NOW - timedelta(days=back) for back in range(days, DAYS, days)][::-1]
    if period.since is not None:
        yield len(cuts) + 2, period.until - timedelta(minutes=10), frame
        return
    rows = frame.sort("seen_at", maintain_order=True)
    edges = [
        0,
        *(rows["seen_at"].search_sorted(pl.Series([cut]).cast(INSTANT)).to_list()[0] for cut in cuts),
        rows.height,
    ]
    for number, (start, end) in enumerate(pairwise(edges), start=1):
        sent_at = cuts[number - 1] if number <= len(cuts) else period.until - timedelta(minutes=10)
        yield number, sent_at, rows[start:end]


def _sent(period: Period) -> datetime:
    return period.until - timedelta(minutes=10)


def _snapshot_number(period: Period) -> int:
    return 1 if period.since is None else 2


# -- the ERP -----------------------------------------------------------------------------------------------------------


def _catalogue(world: World, period: Period) -> DropFile:
    is_renamed = (pl.col("product") % 500 == 7) & pl.lit(period.since is not None)
    inside = (
        world.kits.join(
            world.products.select(pl.col("product").alias("component"), "code"), on="component", maintain_order="left"
        )
        .group_by("kit", maintain_order=True)
        .agg(pl.format('<composant article="{}" qte="{}"/>', "code", "qty").str.join("").alias("inside"))
    )
    articles = world.products.join(inside, left_on="product", right_on="kit", how="left", maintain_order="left").select(
        pl.format(
            '<article code="{}" kind="{}" actif="true" suivi_stock="true"><sku>{}</sku><gtin>{}</gtin><libelle>{}</libelle>'
            "<marque>{}</marque><famille>{}</famille><tva>20.00</tva><poids_g>{}</poids_g><parent/><composants>{}</composants>"
            "<modifie>{}</modifie></article>",
            "code", "kind", "sku", "gtin",
            pl.when(is_renamed).then(pl.format("{} bis", "name")).otherwise("name"),
            "brand", "category", "weight_g", pl.col("inside").fill_null(""),
            pl.when(is_renamed).then(pl.lit(f"{NOW + timedelta(hours=10):%Y-%m-%dT%H:%M:%SZ}")).otherwise(pl.lit("2025-01-05T08:00:00Z")),
        ).str.join("\n")
    ).item()  # fmt: skip
    text = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f'<catalogue genere="{_sent(period):%Y-%m-%dT%H:%M:%SZ}" articles="{world.products.height}">\n{articles}\n</catalogue>\n'
    )
    name = file_name("PRICAT", _snapshot_number(period), _sent(period), "xml")
    return DropFile("erp", "erp_catalogue", name, text.encode(), world.products.height)


def _levels(world: World, period: Period) -> pl.DataFrame:
    """place, product, on_hand, committed, changed_at."""
    levels = (
        world.movements.filter(pl.col("at") <= pl.lit(period.until).cast(INSTANT))
        .group_by("place", "product")
        .agg(pl.col("quantity").sum().alias("on_hand"), pl.col("at").max().alias("changed_at"))
        .sort("place", "product")
    )
    orders = _told(world.orders, Period(period.until), "ordered_at", "cancelled_at", "shipped_at")
    waiting = (
        orders.filter(pl.col("cancelled_at").is_null(), pl.col("shipped_at").is_null())
        .select("order")
        .join(world.lines, on="order")
        .group_by("product")
        .agg(pl.col("quantity").sum().alias("committed"))
        .with_columns(pl.lit(0, pl.Int16).alias("place"))
    )
    return levels.join(waiting, on=["place", "product"], how="left", maintain_order="left").with_columns(
        pl.col("committed").fill_null(0)
    )


def _stock_and_offers(world: World, period: Period) -> Iterator[DropFile]:
    levels = _levels(world, period).join(
        world.products.select("product", "code", "sku"), on="product", maintain_order="left"
    )
    counted_at = pl.lit(period.until - timedelta(minutes=20)).cast(INSTANT)
    yield csv_file(
        levels.with_columns(counted_at.alias("as_of_at")).select(
            _place(world).alias("depot"),
            pl.col("code").alias("article"),
            pl.col("on_hand").alias("stock"),
            pl.col("committed").alias("reserve_cde"),
            pl.lit(0).alias("reserve_autre"),
            pl.lit(0).alias("avarie"),
            pl.lit("N").alias("net"),
            french_time("as_of_at").alias("date_calcul"),
            french_time("changed_at").alias("dernier_mvt"),
        ),
        _ERP,
        system="erp",
        feed="erp_stock",
        name=file_name("INVRPT", _snapshot_number(period), _sent(period), "csv"),
        control=("stock", str(levels["on_hand"].sum())),
    )
    regular = _prices_known(world, period).filter(pl.col("price_list") == "MKP", pl.col("to_at").is_null())
    sellable = (pl.col("on_hand") - pl.col("committed") - 5).clip(0, 50)
    offers = (
        regular.select("product", "amount")
        .join(world.products.select("product", "sku"), on="product", maintain_order="left")
        .join(levels.filter(pl.col("place") == 0).select("product", "on_hand", "committed"), on="product", how="left")
        .sort("product")
        .with_columns(
            # One in fifty shows a stock of its own, one in a hundred a price of its own.
            (sellable.fill_null(0) + pl.when(pl.col("product") % 50 == 3).then(3).otherwise(0)).alias("stock"),
            (pl.col("amount") + pl.when(pl.col("product") % 100 == 5).then(50).otherwise(0)).alias("shown"),
        )
    )
    yield csv_file(
        offers.select(
            "sku",
            "stock",
            decimal("shown").alias("price"),
            decimal("shown").alias("regular_price"),
            pl.lit("20.00").alias("vat_rate"),
            pl.lit("EUR").alias("currency"),
            pl.lit("true").alias("is_active"),
        ),
        _PLAIN,
        system="marketplace",
        feed="marketplace_offers",
        name=file_name("MKPOFF", _snapshot_number(period), _sent(period), "csv"),
        control=("price", decimal_text(int(offers["shown"].sum()))),
    )


def _prices_known(world: World, period: Period) -> pl.DataFrame:
    return world.prices.filter(pl.col("from_at") <= pl.lit(period.until).cast(INSTANT)).with_columns(
        _known("to_at", period)
    )


def _prices(world: World, period: Period) -> DropFile:
    prices = _prices_known(world, period).join(
        world.products.select("product", "code"), on="product", maintain_order="left"
    )
    return csv_file(
        prices.select(
            pl.col("price_list").alias("tarif"),
            pl.col("code").alias("article"),
            decimal("amount", ",").alias("prix"),
            pl.lit("20,00").alias("tva"),
            pl.lit("O").alias("ttc"),
            french_time("from_at").alias("debut"),
            french_time("to_at").alias("fin"),
            pl.lit("EUR").alias("devise"),
        ),
        _ERP,
        system="erp",
        feed="erp_prices",
        name=file_name("PRICES", _snapshot_number(period), _sent(period), "csv"),
        control=("prix", decimal_text(int(prices["amount"].sum()), ",")),
    )


def _promotions(world: World, period: Period) -> DropFile:
    promotions = world.promotions.join(world.products.select("product", "code"), on="product", maintain_order="left")
    return csv_file(
        promotions.select(
            pl.format("PR{}", "promotion").alias("promo"),
            pl.col("price_list").alias("tarif"),
            pl.col("code").alias("article"),
            pl.lit("PRIX").alias("type"),
            decimal("amount", ",").alias("valeur"),
            french_time("starts_at").alias("debut"),
            french_time("ends_at").alias("fin"),
            pl.lit(5).alias("priorite"),
            pl.lit("N").alias("cumulable"),
            pl.lit("EUR").alias("devise"),
        ),
        _ERP,
        system="erp",
        feed="erp_promotions",
        name=file_name("PROMO", _snapshot_number(period), _sent(period), "csv"),
        control=("valeur", decimal_text(int(promotions["amount"].sum()), ",")),
    )


def _movements(world: World, period: Period) -> Iterator[DropFile]:
    codes = world.products.select("product", "code")
    for number, sent_at, part in _in_files(_told(world.movements, period, "at"), period, _WEEK):
        rows = part.join(codes, on="product", maintain_order="left").select(
            pl.format("MV{}", pl.col("movement").cast(pl.String).str.zfill(10)).alias("mvt"),
            _place(world).alias("depot"),
            pl.col("code").alias("article"),
            pl.col("kind").alias("type"),
            pl.col("quantity").alias("quantite"),
            french_time("at").alias("date"),
        )
        broken = [
            ("unknown_value", f"MVX{number:04d}{place:06d};WH1;A0000000;XXX;0;05/01/2026 10:00:00")
            for place in range(part.height // 1000)
        ]
        yield csv_file(
            rows,
            _ERP,
            system="erp",
            feed="erp_movements",
            name=file_name("INVMOV", number, sent_at, "csv"),
            control=("quantite", str(part["quantity"].sum())),
            broken=broken,
        )


def _acknowledgements(world: World, period: Period) -> Iterator[DropFile]:
    orders = world.orders.select("order", (pl.col("ordered_at") + pl.duration(minutes=10)).alias("answered_at"))
    for number, sent_at, part in _in_files(_told(orders, period, "answered_at"), period, _MONTH):
        yield csv_file(
            part.select(
                pl.lit("marketplace").alias("canal"),
                _order_number().alias("commande"),
                french_time("answered_at").alias("date"),
                pl.lit("OK").alias("statut"),
                pl.lit(None, pl.String).alias("motif"),
            ),
            _ERP,
            system="erp",
            feed="erp_acknowledgements",
            name=file_name("ORDRSP", number, sent_at, "csv"),
        )


# -- the marketplace ---------------------------------------------------------------------------------------------------


def _marketplace_orders(world: World, period: Period) -> Iterator[DropFile]:
    skus = world.products.select("product", "sku", "name")
    orders = _told(world.orders, period, "ordered_at", "cancelled_at", "shipped_at", "delivered_at")
    rows = world.lines.join(orders, on="order", how="inner", maintain_order="left")
    late: pl.DataFrame | None = None
    files = list(_in_files(rows, period, _WEEK))
    for number, sent_at, part in files:
        is_last = number == files[-1][0]
        moved = part.filter(pl.col("order") % 10 == 0)
        pending = part.with_columns(
            pl.when(pl.col("order") % 10 != 0).then(name).alias(name)
            for name in ("cancelled_at", "shipped_at", "delivered_at")
        )
        whole = pl.concat([part if is_last else pending, *([late] if late is not None else [])])
        late = moved
        tail = "2026-02-02T08:00:00Z,2026-02-02T08:01:00Z,payable,BR-0000001,Article,un,0,,,0.00,0.00,20.00,0.00,EUR,FR,,retailer,"
        broken = [("bad_number", f"MPX{number:04d}{place:06d},X,{tail}") for place in range(part.height // 1000)]
        table = _order_rows(whole.join(skus, on="product", maintain_order="left"))
        yield csv_file(
            table,
            _PLAIN,
            system="marketplace",
            feed="marketplace_orders",
            name=file_name("MKPORD", number, sent_at, "csv"),
            broken=broken,
        )


def _order_rows(rows: pl.DataFrame) -> pl.DataFrame:
    is_cancelled = pl.col("cancelled_at").is_not_null()
    status = (
        pl.when(is_cancelled)
        .then(pl.lit("cancelled"))
        .when(pl.col("delivered_at").is_not_null())
        .then(pl.lit("delivered"))
        .when(pl.col("shipped_at").is_not_null())
        .then(pl.lit("shipped"))
        .otherwise(pl.lit("payable"))
    )
    return rows.select(
        _order_number().alias("order_id"),
        pl.format("L{}", "line").alias("line_id"),
        iso_time("ordered_at").alias("ordered_at"),
        (pl.col("ordered_at") + pl.duration(minutes=1)).dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("paid_at"),
        status.alias("status"),
        "sku",
        "name",
        pl.col("quantity").alias("qty"),
        pl.lit(0).alias("cancelled_qty"),
        pl.when(is_cancelled).then("cancel_reason").alias("cancel_reason"),
        iso_time("cancelled_at").alias("cancelled_at"),
        decimal("unit").alias("unit_price"),
        decimal(pl.col("unit") * pl.col("quantity")).alias("line_total"),
        pl.lit("20.00").alias("vat_rate"),
        decimal("shipping").alias("shipping"),
        pl.lit("EUR").alias("currency"),
        pl.lit("FR").alias("country"),
        pl.format("client.{}@example.org", "customer").alias("email"),
        pl.lit("retailer").alias("fulfilled_by"),
        iso_time("ship_by").alias("ship_by"),
    )


def _refunds(world: World, period: Period) -> Iterator[DropFile]:
    for number, sent_at, part in _in_files(_told(world.returns, period, "refunded_at"), period, _MONTH):
        yield csv_file(
            part.select(
                pl.format("MR{}", "return").alias("refund_id"),
                _order_number().alias("order_id"),
                _return_number().alias("return_id"),
                decimal("amount").alias("amount"),
                pl.lit("0.00").alias("shipping"),
                pl.lit("EUR").alias("currency"),
                iso_time("refunded_at").alias("initiated_at"),
            ),
            _PLAIN,
            system="marketplace",
            feed="marketplace_refunds",
            name=file_name("MKPREF", number, sent_at, "csv"),
        )


# -- the warehouse and its carrier -------------------------------------------------------------------------------------


def _shipments(world: World, period: Period) -> Iterator[DropFile]:
    skus = world.products.select("product", "sku")
    parcels = _told(world.parcels, period, "released_at", "picked_at", "packed_at", "confirmed_at")
    rows = world.parcel_lines.join(parcels, on=["parcel", "order"], how="inner", maintain_order="left").with_columns(
        (pl.int_range(pl.len()).over("parcel") + 1).alias("place")
    )
    late: pl.DataFrame | None = None
    files = list(_in_files(rows, period, _WEEK))
    for number, sent_at, part in files:
        is_last = number == files[-1][0]
        pending = part.with_columns(
            pl.when(pl.col("parcel") % 20 != 0).then(name).alias(name) for name in ("packed_at", "confirmed_at")
        )
        whole = pl.concat([part if is_last else pending, *([late] if late is not None else [])])
        late = part.filter(pl.col("parcel") % 20 == 0)
        yield csv_file(
            whole.join(skus, on="product", maintain_order="left").select(
                _parcel_number("SH").alias("shipment"),
                pl.lit("marketplace").alias("channel"),
                _order_number().alias("order"),
                pl.lit("WH1").alias("location"),
                pl.lit("colissimo").alias("carrier"),
                _parcel_number("CO").alias("tracking"),
                pl.col("place").alias("line"),
                pl.lit(None, pl.String).alias("order_line"),
                "sku",
                pl.col("quantity").alias("qty"),
                local_time("released_at").alias("released_at"),
                local_time("picked_at").alias("picked_at"),
                local_time("packed_at").alias("packed_at"),
                local_time("packed_at").alias("label_at"),
                local_time("confirmed_at").alias("confirmed_at"),
                pl.lit(None, pl.String).alias("ready_at"),
                pl.lit(None, pl.String).alias("cancelled_at"),
            ),
            _WMS,
            system="wms",
            feed="wms_shipments",
            name=file_name("DESADV", number, sent_at, "csv"),
        )


def _scans(world: World, period: Period) -> Iterator[DropFile]:
    events = [("handed_over", pl.col("confirmed_at") + pl.duration(hours=2)), ("delivered", pl.col("delivered_at"))]
    scans = pl.concat(
        [world.parcels.select("parcel", pl.lit(event).alias("event"), at.alias("at")) for event, at in events]
    )
    for number, sent_at, part in _in_files(_told(scans, period, "at"), period, _WEEK):
        lines = part.select(
            pl.concat_str(
                pl.lit('{"id":"'), "parcel", pl.lit("-"), "event", pl.lit('","carrier":"colissimo","tracking":"'), _parcel_number("CO"),
                pl.lit('","event":"'), "event", pl.lit('","at":"'), iso_time("at"), pl.lit('"}'),
            )
        ).to_series()  # fmt: skip
        text = (
            f'{{"sent_at":"{sent_at:%Y-%m-%dT%H:%M:%SZ}","count":{part.height},"scans":[\n'
            + ",\n".join(lines)
            + "\n]}\n"
        )
        name = file_name("IFTSTA", number, sent_at, "json")
        yield DropFile("carrier", "carrier_scans", name, text.encode(), part.height)


def _returns(world: World, period: Period) -> Iterator[DropFile]:
    skus = world.products.select("product", "sku")
    stamps = ("requested_at", "proof_at", "received_at", "inspected_at", "restocked_at")
    rows = _told(world.returns, period, *stamps)
    for number, sent_at, part in _in_files(rows, period, _MONTH):
        yield csv_file(
            part.join(skus, on="product", maintain_order="left").select(
                _return_number().alias("return"),
                pl.lit(1).alias("line"),
                pl.lit("customer_return").alias("kind"),
                pl.lit("marketplace").alias("channel"),
                _order_number().alias("order"),
                pl.lit(None, pl.String).alias("order_line"),
                "sku",
                pl.col("quantity").alias("qty"),
                *(local_time(name).alias(name) for name in stamps[:-1]),
                pl.when(pl.col("disposition") == "restock").then(local_time("restocked_at")).alias("restocked_at"),
                pl.when(pl.col("inspected_at").is_not_null()).then("disposition").alias("disposition"),
                "reason",
                pl.lit("refund").alias("resolution"),
                pl.lit("WH1").alias("location"),
            ),
            _WMS,
            system="wms",
            feed="wms_returns",
            name=file_name("RETANN", number, sent_at, "csv"),
        )


# -- the stores --------------------------------------------------------------------------------------------------------


def _counts(world: World, period: Period) -> Iterator[DropFile]:
    skus = world.products.select("product", "sku")
    for number, sent_at, part in _in_files(_told(world.counts, period, "at"), period, _MONTH):
        yield csv_file(
            part.join(skus, on="product", maintain_order="left").select(
                pl.format("C{}", "count").alias("count_id"),
                _place(world).alias("location"),
                "sku",
                pl.col("counted").alias("quantity"),
                iso_time("at").alias("counted_at"),
                "reason",
            ),
            _PLAIN,
            system="counts",
            feed="stock_counts",
            name=file_name("INVCNT", number, sent_at, "csv"),
        )


def _tickets(world: World, period: Period) -> Iterator[DropFile]:
    """One file per store and UTC day."""
    told = _told(world.tickets, period, "sold_at")
    numbers = _days_before(world, period)
    for (index,), rows in told.partition_by("store", as_dict=True, maintain_order=True).items():
        store = world.size.store_codes[index]
        texts = _ticket_texts(
            rows.join(world.products.select("product", "sku", "name"), on="product", maintain_order="left"), store
        )
        sequence = numbers.get(index, 0)
        for day, text, total, qty in texts.iter_rows():
            sequence += 1
            closed_at = datetime(day.year, day.month, day.day, 21, 30, tzinfo=NOW.tzinfo)
            name = file_name(f"SLSRPT_{store}", sequence, closed_at, "jsonl")
            yield DropFile("pos", "pos_tickets", name, text.encode() + b"\n", qty, {"total": decimal_text(total)})


def _ticket_texts(rows: pl.DataFrame, store: str) -> pl.DataFrame:
    """day, text, total, tickets of one store."""
    number = pl.format(f"T-{store}-{{}}", pl.col("number").cast(pl.String).str.zfill(8))
    return_of = pl.format(f'"T-{store}-{{}}"', pl.col("return_number").cast(pl.String).str.zfill(8)).fill_null("null")
    pieces = (
        '{"line":', "line", ',"sku":"', "sku", '","name":"', "name", '","qty":', "quantity", ',"unit_price":"', decimal("unit"),
        '","manual_discount":"', decimal("discount"), '","vat_rate":"20.00","return_of":', return_of, "}",
    )  # fmt: skip
    columns = {"line", "sku", "name", "quantity"}
    line = pl.concat_str(
        [pl.lit(piece) if isinstance(piece, str) and piece not in columns else piece for piece in pieces]
    )
    tickets = rows.select(
        "number", "sold_at", line.alias("text"), (pl.col("quantity") * (pl.col("unit") - pl.col("discount"))).alias("total")
    ).group_by("number", maintain_order=True).agg(
        pl.col("sold_at").first(), pl.col("text").str.join(","), pl.col("total").sum()
    )  # fmt: skip
    text = pl.concat_str(
        pl.lit('{"ticket":"'), number, pl.lit(f'","store":"{store}","channel":"stores-fr","sold_at":"'), iso_time("sold_at"),
        pl.lit('","currency":"EUR","lines":['), "text", pl.lit('],"total":"'), decimal("total"), pl.lit('"}'),
    )  # fmt: skip
    return (
        tickets.select(pl.col("sold_at").dt.date().alias("day"), text.alias("text"), "total")
        .group_by("day", maintain_order=True)
        .agg(pl.col("text").str.join("\n"), pl.col("total").sum(), pl.len().alias("qty"))
    )


def _days_before(world: World, period: Period) -> dict[int, int]:
    """Store -> files that it sent before."""
    if period.since is None:
        return {}
    before = world.tickets.filter(pl.col("sold_at") <= pl.lit(period.since).cast(INSTANT))
    counted = before.group_by("store").agg(pl.col("sold_at").dt.date().n_unique().alias("days"))
    return dict(zip(counted["store"].to_list(), counted["days"].to_list(), strict=True))


# -- names -------------------------------------------------------------------------------------------------------------


def _order_number() -> pl.Expr:
    return pl.format("MP{}", pl.col("order").cast(pl.String).str.zfill(9))


def _parcel_number(prefix: str) -> pl.Expr:
    return pl.format(f"{prefix}{{}}", pl.col("parcel").cast(pl.String).str.zfill(9))


def _return_number() -> pl.Expr:
    return pl.format("R{}", pl.col("return").cast(pl.String).str.zfill(8))


def _place(world: World) -> pl.Expr:
    codes: Sequence[str] = ("WH1", *world.size.store_codes)
    return pl.col("place").replace_strict(dict(enumerate(codes)), return_dtype=pl.String)
