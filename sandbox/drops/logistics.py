"""Warehouse, carrier and marketplace: shipments, returns, scans, marketplace orders and refunds."""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from sandbox.drops.erp import periods_of, slice_of
from sandbox.drops.files import BrokenRow, Dialect, DropFile, csv_file, decimal, file_name, iso_time, local_time
from sandbox.world import World
from sandbox.world.people import with_contact

WMS = Dialect(encoding="utf-8", has_trailer=False)
MARKETPLACE = Dialect(separator=",", encoding="utf-8", has_trailer=False)


def _quoted_lines(world: World) -> pl.DataFrame:
    """Lines that the WMS can only tell by the shop's line id: the shop does not know their SKU."""
    odd = world.catalogue.items.filter(pl.col("case").is_in(["sku_missing", "sku_duplicate"])).select("item")
    web = world.orders.filter(pl.col("channel").str.starts_with("web-")).select("order", "channel")
    rows = world.lines.join(web, on="order", maintain_order="left").join(
        odd.with_columns(pl.lit(True).alias("odd")), on="item", how="left", maintain_order="left"
    )
    # WooCommerce forgets the SKU of a line whose product was deleted
    some = (pl.col("channel") == "web-be") & (pl.col("is_deleted") | (pl.col("line") % 5 == 0))
    return rows.filter(pl.col("odd").fill_null(False) | some).select(
        "line", pl.col("line").cast(pl.String).alias("order_line")
    )


def shipment_files(world: World) -> Iterator[DropFile]:
    """DESADV: a file a week, by release; a few parcels come twice, first before they left."""
    stamps = [
        "released_at",
        "picked_at",
        "packed_at",
        "label_printed_at",
        "ship_confirmed_at",
        "ready_at",
        "cancelled_at",
    ]
    rows = (
        world.shipment_lines.join(world.shipments.drop("order", "part"), on="shipment", maintain_order="left")
        .join(world.orders.select("order", "number"), on="order", maintain_order="left")
        .join(_quoted_lines(world), on="line", how="left", maintain_order="left")
        .sort("released_at", "shipment", "line_number")
    )
    names = {"label_printed_at": "label_at", "ship_confirmed_at": "confirmed_at"}
    frame = rows.select(
        "released_at",
        "shipment",
        pl.struct(
            pl.col("shipment_code").alias("shipment"),
            "channel",
            pl.col("number").alias("order"),
            "location",
            "carrier",
            "tracking",
            pl.col("line_number").alias("line"),
            "order_line",
            "sku",
            pl.col("quantity").alias("qty"),
            *(local_time(name).alias(names.get(name, name)) for name in stamps),
        ).alias("row"),
    )
    early: pl.DataFrame | None = None
    periods = periods_of(world, 7)
    for number, (start, end) in enumerate(periods, start=1):
        part = slice_of(frame, "released_at", start, end)
        body = part.select("row").unnest("row")
        again = body.filter(part["shipment"] % 200 == 0)
        before = again.with_columns(
            pl.lit(None, pl.String).alias(name) for name in ("packed_at", "label_at", "confirmed_at", "ready_at")
        )
        first = pl.concat([body.filter(part["shipment"] % 200 != 0), before])
        is_last = number == len(periods)
        whole = pl.concat([body if is_last else first, *([early] if early is not None else [])])
        early = again
        broken: list[tuple[str, str | bytes]] = [
            ("bad_number", "D900001;web-fr;DLEURRE01;WH1;dpd;DLEURRE;1;;ML-0000001;beaucoup;2026-02-02 08:00:00;;;;;;"),
            ("bad_date", "D900002;web-fr;DLEURRE02;WH1;dpd;DLEURRE;1;;ML-0000001;1;2026-02-02 25:00:00;;;;;;"),
            ("wrong_width", "D900003;web-fr;DLEURRE03;WH1"),
            (
                "wrong_encoding",
                "D900004;web-fr;DLEURRÉ04;WH1;dpd;DLEURRE;1;;ML-0000001;1;2026-02-02 08:00:00;;;;;;".encode("latin-1"),
            ),
            ("missing_key", ";web-fr;DLEURRE05;WH1;dpd;DLEURRE;1;;ML-0000001;1;2026-02-02 08:00:00;;;;;;"),
        ]
        yield csv_file(
            whole,
            WMS,
            system="wms",
            feed="wms_shipments",
            name=file_name("DESADV", number, min(end, world.now), "csv"),
            broken=broken if number == 3 else [],
            truncated="D900006;web-fr;DLEURRE06;WH1;dpd" if number == 4 else None,
        )


def return_files(world: World) -> Iterator[DropFile]:
    """RETANN: a file for every thirty days."""
    quoted = _quoted_lines(world).rename({"line": "line_id"})
    rows = (
        world.returns.lines.with_columns(pl.coalesce("requested_at", "received_at").alias("seen_at"))
        .join(quoted, left_on="line", right_on="line_id", how="left", maintain_order="left")
        .sort("seen_at", "return_code", "line_number")
    )
    rows = rows.with_columns(pl.col("seen_at").min().over("return_code"))
    for number, (start, end) in enumerate(periods_of(world, 30), start=1):
        frame = slice_of(rows, "seen_at", start, end).select(
            pl.col("return_code").alias("return"),
            pl.col("line_number").alias("line"),
            "kind",
            "channel",
            pl.col("number").alias("order"),
            "order_line",
            "sku",
            pl.col("quantity").alias("qty"),
            *(local_time(name) for name in ("requested_at", "proof_at", "received_at", "inspected_at", "restocked_at")),
            "disposition",
            "reason",
            "resolution",
            "location",
        )
        broken: list[tuple[str, str | bytes]] = [
            ("bad_number", "RD0001;1;customer_return;web-fr;DLEURRE01;;ML-0000001;un;2026-02-02 08:00:00;;;;;;;;WH1"),
            ("bad_date", "RD0002;1;customer_return;web-fr;DLEURRE02;;ML-0000001;1;02/02/2026;;;;;;;;WH1"),
            ("unknown_value", "RD0003;1;theft;web-fr;DLEURRE03;;ML-0000001;1;2026-02-02 08:00:00;;;;;;;;WH1"),
            ("negative", "RD0004;1;customer_return;web-fr;DLEURRE04;;ML-0000001;0;2026-02-02 08:00:00;;;;;;;;WH1"),
        ]
        yield csv_file(
            frame,
            WMS,
            system="wms",
            feed="wms_returns",
            name=file_name("RETANN", number, min(end, world.now), "csv"),
            broken=broken if number == 2 else [],
        )


def scan_files(world: World) -> Iterator[DropFile]:
    """IFTSTA: a file a week, one scan a line."""
    scans = world.scans.select(
        pl.col("at").alias("seen_at"),
        pl.struct(
            pl.col("scan").alias("id"),
            "carrier",
            "tracking",
            "event",
            pl.col("at").dt.convert_time_zone("Europe/Paris").dt.strftime("%Y-%m-%dT%H:%M:%S%:z").alias("at"),
        )
        .struct.json_encode()
        .alias("text"),
    )
    decoys = [
        ("bad_date", '{"id":"SD1","carrier":"dpd","tracking":"DLEURRE","event":"delivered","at":"bientot"}'),
        (
            "unknown_value",
            '{"id":"SD2","carrier":"dpd","tracking":"DLEURRE","event":"teleported","at":"2026-02-02T08:00:00+01:00"}',
        ),
        ("missing_field", '{"id":"SD3","carrier":"dpd","event":"delivered","at":"2026-02-02T08:00:00+01:00"}'),
    ]
    for number, (start, end) in enumerate(periods_of(world, 7), start=1):
        lines = slice_of(scans, "seen_at", start, end)["text"].to_list()
        broken: tuple[BrokenRow, ...] = ()
        if number == 3:
            broken = tuple(
                BrokenRow(1 + len(lines) + place, defect) for place, (defect, _) in enumerate(decoys, start=1)
            )
            lines += [text for _, text in decoys]
        sent = min(end, world.now)
        text = (
            f'{{"sent_at":"{sent:%Y-%m-%dT%H:%M:%SZ}","count":{len(lines)},"scans":[\n' + ",\n".join(lines) + "\n]}\n"
        )
        yield DropFile(
            "carrier", "carrier_scans", file_name("IFTSTA", number, sent, "json"), text.encode(), len(lines), {}, broken
        )


def marketplace_files(world: World) -> Iterator[DropFile]:
    """MKPORD: a file a week with new orders and, a week later, the ones that moved on."""
    orders = with_contact(
        world.orders.filter(pl.col("channel") == "marketplace", pl.col("import_case") != "import_only"), "shop_fr"
    )
    rows = world.lines.join(orders, on="order").sort("ordered_at", "order", "line_number")
    cancelled = (
        pl.when(pl.col("status").is_in(["cancelled"]))
        .then(pl.coalesce("cancel_reason_right", "cancel_reason"))
        .otherwise("cancel_reason")
    )
    cancelled_at = pl.coalesce("cancelled_at", "cancelled_at_right")
    frame = rows.select(
        pl.col("ordered_at").alias("seen_at"),
        "order",
        pl.struct(
            pl.col("number").alias("order_id"),
            pl.col("line").alias("line_id"),
            iso_time("ordered_at").alias("ordered_at"),
            iso_time("payable_at").alias("paid_at"),
            "status",
            "sku",
            "name",
            pl.col("quantity").alias("qty"),
            "cancelled_qty",
            cancelled.alias("cancel_reason"),
            cancelled_at.dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("cancelled_at"),
            decimal("unit_minor").alias("unit_price"),
            decimal(pl.col("unit_minor") * pl.col("quantity")).alias("line_total"),
            decimal("rate").alias("vat_rate"),
            decimal("shipping_minor").alias("shipping"),
            pl.lit("EUR").alias("currency"),
            "country",
            "email",
            "fulfilled_by",
            iso_time("own_promise_at").alias("ship_by"),
        ).alias("row"),
    )
    late: pl.DataFrame | None = None
    periods = periods_of(world, 7)
    for number, (start, end) in enumerate(periods, start=1):
        part = slice_of(frame, "seen_at", start, end)
        body = part.select("row").unnest("row")
        moved = body.filter(part["order"] % 10 == 0)
        open_state = moved.with_columns(
            pl.lit("pending").alias("status"),
            *(pl.lit(None, pl.String).alias(name) for name in ("cancel_reason", "cancelled_at")),
            pl.lit(0, pl.Int64).alias("cancelled_qty"),
        )
        is_last = number == len(periods)
        whole = pl.concat(
            [
                body if is_last else pl.concat([body.filter(part["order"] % 10 != 0), open_state]),
                *([late] if late is not None else []),
            ]
        )
        late = moved
        tail = (
            "2026-02-02T08:00:00Z,2026-02-02T08:01:00Z,payable,ML-0000001,Leurre,1,0,,,0.00,0.00,20.00,0.00,"
            "EUR,FR,leurre@example.org,retailer,"
        )
        broken: list[tuple[str, str | bytes]] = [
            ("bad_number", "MPD001,D1," + tail.replace(",1,0,,,", ",un,0,,,")),
            ("bad_date", "MPD002,D2," + tail.replace("2026-02-02T08:00:00Z", "02.02.2026")),
            ("unknown_value", "MPD003,D3," + tail.replace("payable", "perdue")),
            ("wrong_width", "MPD004,D4,2026-02-02T08:00:00Z"),
            ("wrong_encoding", ("MPD005,D5," + tail.replace("Leurre", "Leurré")).encode("latin-1")),
        ]
        yield csv_file(
            whole,
            MARKETPLACE,
            system="marketplace",
            feed="marketplace_orders",
            name=file_name("MKPORD", number, min(end, world.now), "csv"),
            broken=broken if number == 3 else [],
            truncated="MPD006,D6,2026-02-02T08" if number == 5 else None,
        )


def refund_files(world: World) -> Iterator[DropFile]:
    """MKPREF: a file for every thirty days."""
    refunds = world.returns.refunds.filter(pl.col("channel") == "marketplace").join(
        world.orders.select("order", "number"), on="order", maintain_order="left"
    )
    for number, (start, end) in enumerate(periods_of(world, 30), start=1):
        frame = slice_of(refunds, "initiated_at", start, end).select(
            pl.format("MR{}", "refund").alias("refund_id"),
            pl.col("number").alias("order_id"),
            pl.col("return_code").alias("return_id"),
            decimal("amount_minor").alias("amount"),
            decimal("shipping_minor").alias("shipping"),
            pl.lit("EUR").alias("currency"),
            iso_time("initiated_at").alias("initiated_at"),
        )
        broken: list[tuple[str, str | bytes]] = [
            ("bad_number", "MRD1,MPD001,,dix,0.00,EUR,2026-02-02T08:00:00Z"),
            ("bad_date", "MRD2,MPD001,,1.00,0.00,EUR,demain"),
            ("bad_currency", "MRD3,MPD001,,1.00,0.00,€,2026-02-02T08:00:00Z"),
        ]
        yield csv_file(
            frame,
            MARKETPLACE,
            system="marketplace",
            feed="marketplace_refunds",
            name=file_name("MKPREF", number, min(end, world.now), "csv"),
            broken=broken if number == 2 else [],
        )
