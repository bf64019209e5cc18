"""The articles the retailer sells, as its ERP knows them: variants, simple articles, kits, services, gift cards and parents."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
import polars as pl

from sandbox.world.dice import Ints, dice, instants, plant

SIZES = ("38", "40", "42", "44")
CATEGORIES = ("maison", "cuisine", "luminaire", "jardin", "textile", "décoration", "livres", "épicerie")
REDUCED_VAT = ("livres", "épicerie")
NOUNS = ("Lampe", "Vase", "Plaid", "Coussin", "Théière", "Bougie", "Panier", "Miroir", "Nappe", "Fauteuil")
ADJECTIVES = ("dorée", "en grès", "brodé", "Été & Co", "ajouré", "naturel", "d'hiver", "rayé", "forêt", "bleu nuit")
BRANDS = ("Lumière", "Maison Noé", "Atelier Zoé", "Müller & Fils", "Kaïa")

# What is odd about one article; an article has at most one oddity, so that no case hides another.
ITEM_CASES = {
    "untracked": 0.004,  # the master keeps no stock of it
    "no_stock": 0.003,  # tracked, but the master has no stock row
    "negative": 0.003,  # the book is below zero
    "stale": 0.006,  # the stock row was computed long ago
    "moving": 0.006,  # the stock row moved minutes ago
    "inactive": 0.01,  # withdrawn, in no shop
    "inactive_listed": 0.003,  # withdrawn, still in the shops
    "net": 0.02,  # its stock row is net of what is committed
    "sku_missing": 0.005,  # the shops do not know its SKU, only its GTIN
    "sku_duplicate": 0.004,  # the shops give it the SKU of its neighbour: only the GTIN tells
    "gtin_invalid": 0.01,  # wrong check digit
    "gtin_missing": 0.01,
}


@dataclass(frozen=True)
class Catalogue:
    """`items`: one row per article, `item` its number from 0; `kits`: one row per kit and component."""

    items: pl.DataFrame
    kits: pl.DataFrame


def gtin13(numbers: Ints) -> pl.Series:
    """GTIN-13 with its GS1 check digit, from up to nine digits behind the prefix 376."""
    body = 376_000_000_000 + numbers
    digits = (body[:, None] // 10 ** np.arange(11, -1, -1)) % 10
    check = (-(digits * np.array([1, 3] * 6)).sum(axis=1)) % 10
    return pl.Series(body * 10 + check, dtype=pl.Int64).cast(pl.String)


def _pick(words: tuple[str, ...], codes: Ints) -> pl.Series:
    return pl.Series(words).gather(codes % len(words))


def build_catalogue(*, seed: int, variants: int, now: datetime) -> Catalogue:
    """The articles of one world. `variants` counts simple articles and variants; the rest comes on top."""
    rng = dice(seed, "catalogue")
    families = variants * 7 // 10 // len(SIZES)
    varied = families * len(SIZES)
    kits, services, cards = max(6, variants // 60), max(3, variants // 500), max(2, variants // 1000)
    sizes = {
        "variant": varied,
        "simple": variants - varied,
        "kit": kits,
        "service": services,
        "gift_card": cards,
        "parent": families,
    }
    total = sum(sizes.values())
    number = np.arange(total)
    family = np.where(
        number < varied, number // len(SIZES), np.where(number >= total - families, number - (total - families), number)
    )
    kind = pl.Series(np.repeat(np.array(list(sizes)), list(sizes.values())), dtype=pl.String)
    category = (family * 7919 + seed) % len(CATEGORIES)
    euros = np.exp(rng.uniform(np.log(5), np.log(200), total)).astype(np.int64)
    case = pl.concat([plant(rng, variants, ITEM_CASES), pl.Series(["none"] * (total - variants), dtype=pl.String)])
    name = _pick(NOUNS, family) + " " + _pick(ADJECTIVES, family // 10) + " " + pl.Series(family + 1).cast(pl.String)
    size = pl.Series(SIZES).gather(number % len(SIZES))
    items = pl.DataFrame(
        {
            "item": number,
            "kind": kind,
            "case": case,
            "name": name,
            "size": size,
            "brand": _pick(BRANDS, family // 3),
            "category": _pick(CATEGORIES, category),
            "gtin": gtin13(number * 7 + 13),
            "base_minor": euros * 100 + 90,
            "weight_g": rng.integers(50, 5000, total),
            "modified_at": instants(int(now.timestamp()) - rng.integers(86_400, 300 * 86_400, total)),
            "_first_parent": np.full(total, total - families),
            "_family": family,
            "in_fr_draw": rng.random(total),
            "in_be_draw": rng.random(total),
        }
    )
    parts = _kits(rng, items, sizes)
    is_part = pl.col("item").is_in(parts["component"].unique().implode())
    described = _described(items).with_columns(pl.col("in_fr") | is_part, pl.col("in_be") | is_part)
    return Catalogue(described, parts)


def _described(items: pl.DataFrame) -> pl.DataFrame:
    is_variant, is_card = pl.col("kind") == "variant", pl.col("kind") == "gift_card"
    sells = ~pl.col("kind").is_in(["parent"])
    special = ~pl.col("case").is_in(["none", "inactive", "gtin_invalid", "gtin_missing"])
    everywhere = special | pl.col("kind").is_in(["kit", "service", "gift_card"])
    wrong = pl.col("gtin").str.slice(0, 12) + ((pl.col("gtin").str.slice(12).cast(pl.Int64) + 1) % 10).cast(pl.String)
    rate = (
        pl.when(is_card)
        .then(0)
        .when(pl.col("category").is_in(REDUCED_VAT) & ~pl.col("kind").is_in(["service"]))
        .then(550)
    )
    return (
        items.with_columns(
            pl.format("A{}", pl.col("item").cast(pl.String).str.zfill(7)).alias("code"),
            pl.format(
                "ML-{}{}",
                pl.when(pl.col("kind") == "parent").then(pl.lit("P")).otherwise(pl.lit("")),
                pl.col("item").cast(pl.String).str.zfill(7),
            ).alias("sku"),
            pl.when(is_variant).then(pl.col("_first_parent") + pl.col("_family")).alias("parent"),
            pl.when(is_variant)
            .then(pl.format("{} taille {}", "name", "size"))
            .when(pl.col("kind") == "kit")
            .then(pl.format("Coffret {}", "name"))
            .when(pl.col("kind") == "service")
            .then(pl.format("Emballage cadeau {}", "item"))
            .when(is_card)
            .then(pl.format("Carte cadeau {}", "item"))
            .otherwise("name")
            .alias("name"),
            pl.when(pl.col("case") == "gtin_invalid")
            .then(wrong)
            .when((pl.col("case") == "gtin_missing") | pl.col("kind").is_in(["parent", "service", "gift_card"]))
            .then(None)
            .otherwise("gtin")
            .alias("gtin"),
            rate.otherwise(2000).cast(pl.Int64).alias("rate_fr"),
            (~pl.col("kind").is_in(["service", "gift_card"]) & (pl.col("case") != "untracked")).alias("is_tracked"),
            (~pl.col("case").is_in(["inactive", "inactive_listed"])).alias("is_active"),
            (sells & (everywhere | ((pl.col("in_fr_draw") < 0.92) & (pl.col("case") != "inactive")))).alias("in_fr"),
            (sells & (everywhere | ((pl.col("in_be_draw") < 0.6) & (pl.col("case") != "inactive")))).alias("in_be"),
        )
        .with_columns(
            pl.col("rate_fr").replace_strict({0: 0, 550: 600, 2000: 2100}, return_dtype=pl.Int64).alias("rate_be"),
            pl.col("kind").is_in(["simple", "variant"]).alias("is_goods"),
            (pl.col("kind").is_in(["simple", "variant"]) & (pl.col("case") == "none")).alias("is_plain"),
        )
        .drop("_first_parent", "_family", "size", "in_fr_draw", "in_be_draw")
    )


def _kits(rng: np.random.Generator, items: pl.DataFrame, sizes: dict[str, int]) -> pl.DataFrame:
    """Two or three plain components a kit; the last kit has none, which is a defect of the master."""
    simple = items.filter((pl.col("kind") == "simple") & (pl.col("case") == "none"))["item"].to_numpy()
    first_kit = sizes["variant"] + sizes["simple"]
    kits = np.arange(first_kit, first_kit + sizes["kit"] - 1)
    chosen = rng.permutation(simple)[: 3 * len(kits)]
    kit = np.repeat(kits, 3)[: len(chosen)]
    frame = pl.DataFrame(
        {"kit": kit, "component": chosen, "qty": rng.integers(1, 3, len(chosen)), "third": np.arange(len(chosen)) % 3}
    )
    return frame.filter((pl.col("third") < 2) | (pl.col("kit") % 2 == 0)).drop("third")
