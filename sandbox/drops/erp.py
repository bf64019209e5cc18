"""The ERP's files: catalogue, stock, prices, promotions, movements, purchase orders, answers to orders."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise

import polars as pl

from sandbox.drops.files import BrokenRow, Dialect, DropFile, csv_file, decimal, decimal_text, file_name, french_time
from sandbox.world import World
from sandbox.world.dice import INSTANT

ERP = Dialect()
MOVES = {
    "opening": "OUV",
    "receipt": "REC",
    "sale": "VTE",
    "return": "RET",
    "transfer": "TRF",
    "adjustment": "AJU",
    "count_adjustment": "INV",
    "scrap": "REB",
}
METHODS = {"fixed_price": "PRIX", "amount_off": "MONTANT", "percentage_off": "POURCENT"}


def _yes_no(flag: str) -> pl.Expr:
    return pl.when(pl.col(flag)).then(pl.lit("O")).otherwise(pl.lit("N"))


def erp_files(world: World) -> Iterator[DropFile]:
    """Every file of the ERP."""
    yield catalogue_file(world)
    yield from stock_files(world)
    yield prices_file(world)
    yield promotions_file(world)
    yield from movement_files(world)
    yield from purchase_files(world)
    yield from acknowledgement_files(world)


def catalogue_file(world: World) -> DropFile:
    """PRICAT: one article a line."""
    items = world.catalogue.items
    codes = items.select("item", "code")
    inside = (
        world.catalogue.kits.join(codes.rename({"item": "component"}), on="component")
        .group_by("kit", maintain_order=True)
        .agg(pl.format('<composant article="{}" qte="{}"/>', "code", "qty").str.join("").alias("inside"))
    )
    rows = items.join(inside, left_on="item", right_on="kit", how="left", maintain_order="left").join(
        codes.rename({"item": "parent", "code": "parent_code"}), on="parent", how="left", maintain_order="left"
    )

    def tag(name: str, value: pl.Expr) -> pl.Expr:
        escaped = value.str.replace_all("&", "&amp;", literal=True).str.replace_all("<", "&lt;", literal=True)
        return (
            pl.when(value.is_null()).then(pl.lit(f"<{name}/>")).otherwise(pl.format(f"<{name}>{{}}</{name}>", escaped))
        )

    def truth(flag: str) -> pl.Expr:
        return pl.when(pl.col(flag)).then(pl.lit("true")).otherwise(pl.lit("false"))

    is_tracked = pl.when("is_tracked").then(pl.lit("true")).otherwise(pl.lit("false"))
    head = pl.format(
        '<article code="{}" kind="{}" actif="{}" suivi_stock="{}">', "code", "kind", truth("is_active"), is_tracked
    )
    body = pl.concat_str(
        head,
        tag("sku", pl.col("sku")),
        tag("gtin", pl.col("gtin")),
        tag("libelle", pl.col("name")),
        tag("marque", pl.col("brand")),
        tag("famille", pl.col("category")),
        tag("tva", decimal("rate_fr")),
        tag("poids_g", pl.col("weight_g").cast(pl.String)),
        tag("parent", pl.col("parent_code")),
        pl.format("<composants>{}</composants>", pl.col("inside").fill_null("")),
        tag("modifie", pl.col("modified_at").dt.strftime("%Y-%m-%dT%H:%M:%SZ")),
        pl.lit("</article>"),
    )

    def decoy(code: str, **changes: str) -> str:
        value = {
            "kind": "simple",
            "sku": f"SKU-{code}",
            "gtin": "3760000000000",
            "tva": "20.00",
            "poids_g": "100",
            "modifie": "2026-01-05T08:00:00Z",
            **changes,
        }
        return (
            f'<article code="{code}" kind="{value["kind"]}" actif="true" suivi_stock="true">'
            f"<sku>{value['sku']}</sku><gtin>{value['gtin']}</gtin><libelle>Leurre {code}</libelle>"
            f"<marque/><famille>maison</famille><tva>{value['tva']}</tva><poids_g>{value['poids_g']}</poids_g>"
            f"<parent/><composants></composants><modifie>{value['modifie']}</modifie></article>"
        )

    decoys = [
        ("bad_gtin", decoy("D900001", gtin="37612X4567890")),
        ("bad_number", decoy("D900002", tva="vingt")),
        ("bad_date", decoy("D900003", modifie="2026-02-31T08:00:00Z")),
        ("unknown_value", decoy("D900004", kind="bidule")),
    ]
    lines = rows.select(body.alias("xml"))["xml"]
    count = rows.height + len(decoys)
    text = "\n".join(
        [
            '<?xml version="1.0" encoding="UTF-8"?>',
            f'<catalogue genere="{world.now:%Y-%m-%dT%H:%M:%SZ}" articles="{count}">',
            "\n".join(lines.to_list()),
            *(text for _, text in decoys),
            "</catalogue>",
            "",
        ]
    )
    broken = tuple(BrokenRow(2 + rows.height + place, defect) for place, (defect, _) in enumerate(decoys, start=1))
    return DropFile(
        "erp",
        "erp_catalogue",
        file_name("PRICAT", 1, world.now - timedelta(hours=3), "xml"),
        text.encode(),
        count,
        {},
        broken,
    )


def stock_frame(levels: pl.DataFrame) -> pl.DataFrame:
    """Stock levels as the ERP prints them."""
    return levels.select(
        pl.col("location").alias("depot"),
        pl.col("code").alias("article"),
        pl.col("on_hand").alias("stock"),
        pl.col("committed").alias("reserve_cde"),
        pl.col("reserved").alias("reserve_autre"),
        pl.col("damaged").alias("avarie"),
        _yes_no("is_net").alias("net"),
        french_time("as_of_at").alias("date_calcul"),
        french_time("changed_at").alias("dernier_mvt"),
    )


def stock_files(world: World) -> Iterator[DropFile]:
    """INVRPT: the whole stock; then the same file again under another name."""
    levels = world.stock.levels
    frame = stock_frame(levels)
    day = f"{world.now:%d/%m/%Y} 06:00:00"
    first = csv_file(
        frame,
        ERP,
        system="erp",
        feed="erp_stock",
        name=file_name("INVRPT", 1, world.now - timedelta(minutes=4), "csv"),
        control=("stock", str(levels["on_hand"].sum())),
        broken=[
            ("bad_number", f"WH1;D900010;0;0;0;deux;N;{day};{day}"),
            ("bad_date", f"WH1;D900011;0;0;0;0;N;31/02/2026 06:00:00;{day}"),
            ("wrong_width", "WH1;D900012;0;0"),
            ("bad_flag", f"WH1;D900013;0;0;0;0;X;{day};{day}"),
            ("negative", f"WH1;D900014;0;-4;0;0;N;{day};{day}"),
        ],
    )
    yield first
    yield replace(
        first,
        name=file_name("INVRPT", 2, world.now - timedelta(minutes=2), "csv"),
        outcome="duplicate",
        reason="same content as the file before",
    )


def prices_file(world: World) -> DropFile:
    """PRICES: every price list."""
    prices = world.prices.prices.join(world.catalogue.items.select("item", "code"), on="item", maintain_order="left")
    frame = prices.select(
        pl.col("price_list").alias("tarif"),
        pl.col("code").alias("article"),
        decimal("amount", ",").alias("prix"),
        decimal("rate", ",").alias("tva"),
        _yes_no("is_ttc").alias("ttc"),
        french_time("valid_from_at").alias("debut"),
        french_time("valid_to_at").alias("fin"),
        pl.col("currency").alias("devise"),
    )
    return csv_file(
        frame,
        ERP,
        system="erp",
        feed="erp_prices",
        name=file_name("PRICES", 1, world.now - timedelta(minutes=4), "csv"),
        control=("prix", decimal_text(int(prices["amount"].sum()), ",")),
        broken=[
            ("bad_number", "WEB-FR;D900020;0,00;20,0,0;O;01/01/2026 00:00:00;;EUR"),
            ("bad_date", "WEB-FR;D900021;0,00;20,00;O;2026-13-01;;EUR"),
            ("bad_currency", "WEB-FR;D900022;0,00;20,00;O;01/01/2026 00:00:00;;EURO"),
            ("wrong_width", "WEB-FR;D900023;0,00"),
        ],
    )


def promotions_file(world: World) -> DropFile:
    """PROMO: every promotion."""
    promotions = world.prices.promotions.join(
        world.catalogue.items.select("item", "code"), on="item", maintain_order="left"
    ).with_columns(pl.coalesce("amount_minor", "percentage_bp").alias("value"))
    frame = promotions.select(
        pl.col("promotion").alias("promo"),
        pl.col("price_list").alias("tarif"),
        pl.col("code").alias("article"),
        pl.col("method").replace_strict(METHODS).alias("type"),
        decimal("value", ",").alias("valeur"),
        french_time("starts_at").alias("debut"),
        french_time("ends_at").alias("fin"),
        pl.col("priority").alias("priorite"),
        _yes_no("is_stackable").alias("cumulable"),
        pl.lit("EUR").alias("devise"),
    )
    window = "01/04/2026 00:00:00;08/04/2026 00:00:00"
    return csv_file(
        frame,
        ERP,
        system="erp",
        feed="erp_promotions",
        name=file_name("PROMO", 1, world.now - timedelta(minutes=4), "csv"),
        control=("valeur", decimal_text(int(promotions["value"].sum()), ",")),
        broken=[
            ("bad_number", f"PR9000001;WEB-FR;D900030;PRIX;0,00;{window};un;N;EUR"),
            ("bad_date", "PR9000002;WEB-FR;D900031;PRIX;0,00;hier;08/04/2026 00:00:00;1;N;EUR"),
            ("unknown_value", f"PR9000003;WEB-FR;D900032;CADEAU;0,00;{window};1;N;EUR"),
        ],
    )


def periods_of(world: World, length_days: int) -> list[tuple[datetime, datetime]]:
    """The window in slices; the first one reaches back to the openings."""
    cuts = [world.now - timedelta(days=back) for back in range(length_days, world.days, length_days)][::-1]
    edges = [world.now - timedelta(days=world.days + 60), *cuts, world.now + timedelta(seconds=1)]
    return list(pairwise(edges))


def slice_of(frame: pl.DataFrame, column: str, start: datetime, end: datetime) -> pl.DataFrame:
    return frame.filter(pl.col(column) >= pl.lit(start).cast(INSTANT), pl.col(column) < pl.lit(end).cast(INSTANT))


def movement_files(world: World) -> Iterator[DropFile]:
    """INVMOV: a file for every thirty days."""
    movements = world.stock.movements.join(
        world.catalogue.items.select("item", "code"), on="item", maintain_order="left"
    )
    periods = periods_of(world, 30)
    for number, (start, end) in enumerate(periods, start=1):
        part = slice_of(movements, "at", start, end)
        frame = part.select(
            pl.col("movement").alias("mvt"),
            pl.col("location").alias("depot"),
            pl.col("code").alias("article"),
            pl.col("kind").replace_strict(MOVES).alias("type"),
            pl.col("quantity").alias("quantite"),
            french_time("at").alias("date"),
        )
        broken = [
            ("bad_date", "MV9000000001;WH1;D900040;VTE;0;32/01/2026 10:00:00"),
            ("unknown_value", "MV9000000002;WH1;D900041;XXX;0;05/01/2026 10:00:00"),
            ("wrong_width", "MV9000000003;WH1"),
        ]
        name = file_name("INVMOV", number, min(end, world.now), "csv")
        yield csv_file(
            frame,
            ERP,
            system="erp",
            feed="erp_movements",
            name=name,
            control=("quantite", str(part["quantity"].sum())),
            broken=broken if number == 2 else (),
        )


def purchase_files(world: World) -> Iterator[DropFile]:
    """POLINE: one good file; then a newer one whose control total is wrong, so that nothing of it may be used."""
    purchases = world.stock.purchases.join(
        world.catalogue.items.select("item", "code"), on="item", maintain_order="left"
    ).sort("number", "line_number")

    def frame(rows: pl.DataFrame) -> pl.DataFrame:
        return rows.select(
            pl.col("number").alias("commande"),
            pl.col("line_number").alias("ligne"),
            pl.col("supplier").alias("fournisseur"),
            pl.col("location").alias("depot"),
            pl.col("code").alias("article"),
            pl.col("ordered_qty").alias("qte_cdee"),
            pl.col("received_qty").alias("qte_recue"),
            decimal("unit_cost_minor", ",").alias("prix_achat"),
            pl.lit("EUR").alias("devise"),
            french_time("ordered_at").alias("date_cde"),
            french_time("expected_at").alias("date_prevue"),
        )

    yield csv_file(
        frame(purchases),
        ERP,
        system="erp",
        feed="erp_purchase_orders",
        name=file_name("POLINE", 1, world.now - timedelta(hours=5), "csv"),
        control=("qte_cdee", str(purchases["ordered_qty"].sum())),
        broken=[
            ("bad_number", "PO900001;1;F001;WH1;D900050;0;0;douze;EUR;05/01/2026 10:00:00;"),
            ("bad_date", "PO900002;1;F001;WH1;D900051;0;0;1,00;EUR;05-01;"),
            ("wrong_width", "PO900003;1;F001;WH1;D900052;0"),
        ],
    )
    newer = purchases.tail(40).with_columns(
        pl.col("number").str.replace("PO", "PN"),
        (pl.col("unit_cost_minor") * 3).alias("unit_cost_minor"),
        pl.lit(world.now - timedelta(days=1)).cast(INSTANT).alias("ordered_at"),
    )
    wrong = csv_file(
        frame(newer),
        ERP,
        system="erp",
        feed="erp_purchase_orders",
        name=file_name("POLINE", 2, world.now - timedelta(hours=1), "csv"),
        control=("qte_cdee", str(newer["ordered_qty"].sum() + 7)),
    )
    yield replace(wrong, outcome="refused", reason="control total does not match")


def acknowledgement_files(world: World) -> Iterator[DropFile]:
    """ORDRSP: a file for every thirty days; no control column."""
    answers = world.stock.acknowledgements.sort("acknowledged_at", "order")
    for number, (start, end) in enumerate(periods_of(world, 30), start=1):
        frame = slice_of(answers, "acknowledged_at", start, end).select(
            pl.col("channel").alias("canal"),
            pl.col("number").alias("commande"),
            french_time("acknowledged_at").alias("date"),
            pl.when("is_accepted").then(pl.lit("OK")).otherwise(pl.lit("KO")).alias("statut"),
            pl.col("reason").alias("motif"),
        )
        broken = [
            ("bad_date", "web-fr;D-LEURRE1;05/01/26 10h;OK;"),
            ("unknown_value", "web-fr;D-LEURRE2;05/01/2026 10:00:00;PEUT-ETRE;"),
        ]
        yield csv_file(
            frame,
            ERP,
            system="erp",
            feed="erp_acknowledgements",
            name=file_name("ORDRSP", number, min(end, world.now), "csv"),
            broken=broken if number == 1 else (),
        )
