"""Every defect that the issue and the field guide name is in every world, and the truth sees it for what it is."""

from __future__ import annotations

import polars as pl
import pytest

from sandbox.world import World
from sandbox.world.prices import WEB_CASES
from sandbox.world.sales import OLD_FATES, RECENT_FATES, SPLITTABLE_FATES
from sandbox.world.truth_parts import order_parts
from sandbox.world.truth_prices import observations
from sandbox.world.truth_stock import listing_states

CHANNELS = ("web-fr", "web-be")


@pytest.mark.parametrize("channel", CHANNELS)
def test_planted_stock_is_judged_as_planted(world: World, channel: str) -> None:
    shop = world.web_fr if channel == "web-fr" else world.web_be
    states = listing_states(world, channel).join(
        shop.listings.select("external_id", "stock_case", "case", "price_case"), on="external_id", how="left"
    )
    # an order placed minutes ago may put a planted difference in flight: then it is no error yet
    for case in ("oversell", "hidden"):
        planted = states.filter(pl.col("stock_case") == case, pl.col("state") != "in_flight")
        assert planted.height >= 1
        assert planted.select("state", "kind_of_error").unique().rows() == [("wrong", case)]
    assert set(states.filter(pl.col("case") == "moving")["state"]) == {"in_flight"}
    assert set(states.filter(pl.col("case") == "stale")["state"]) <= {"stale", "in_flight"}
    assert set(states.filter(pl.col("stock_case") == "stranger")["state"]) == {"orphan"}
    assert set(states.filter(pl.col("price_case") == "unpublished")["state"]) == {"missing"}
    reasons = set(states["reason"].drop_nulls())
    wanted = {
        "orphan",
        "service",
        "gift_card",
        "not_stock_tracked",
        "inactive_product",
        "no_stock_record",
        "kit_without_components",
        "stale",
        "in_flight",
    }
    assert wanted | ({"not_managed_on_channel"} if channel == "web-be" else set()) <= reasons
    absent = states.filter(pl.col("state") == "missing", ~pl.col("is_observed"))
    assert absent.height >= 2


@pytest.mark.parametrize("channel", CHANNELS)
def test_planted_prices_are_judged_as_planted(world: World, channel: str) -> None:
    shop = world.web_fr if channel == "web-fr" else world.web_be
    seen = (
        observations(world)
        .filter(pl.col("channel") == channel)
        .join(shop.listings.select("external_id", "price_case"), on="external_id")
    )
    verdicts = {
        "late": "promotion_late",
        "missing_promo": "promotion_missing",
        "leaked": "promotion_leaked",
        "wrong_depth": "wrong_depth",
        "ambiguous": "ambiguous",
        "over": "overcharge",
        "under": "undercharge",
        **dict.fromkeys(
            ("promo", "promo_past", "promo_future", "priority", "best_price", "stackable", "chain", "prior_breach"),
            "ok",
        ),
    }
    for case, verdict in verdicts.items():
        assert set(seen.filter(pl.col("price_case") == case)["verdict"]) == {verdict}, case
    reasons = {
        "price_in_flight": "in_flight",
        "promo_in_flight": "in_flight",
        "dollars": "currency_mismatch",
        "unpriced": "no_expected_price",
        "unpublished": "not_published",
        "stranger": "orphan",
    }
    for case, reason in reasons.items():
        assert set(seen.filter(pl.col("price_case") == case)["reason"]) == {reason}, case
    assert set(WEB_CASES) - {"unlisted"} <= set(seen["price_case"])


def test_tills_charge_wrong_prices_too(world: World) -> None:
    verdicts = set(observations(world).filter(pl.col("location").is_not_null())["verdict"].drop_nulls())
    assert {"ok", "overcharge", "undercharge", "promotion_missing", "wrong_depth"} <= verdicts
    assert world.tickets.filter(pl.col("item").is_null()).height >= 1
    assert world.tickets.filter(pl.col("discount_minor") > 0).height >= 1


def test_every_fate_of_an_order_occurs(world: World) -> None:
    fates = set(world.orders["fate"])
    assert {*SPLITTABLE_FATES, *OLD_FATES, *RECENT_FATES, "on_time"} <= fates
    assert set(world.orders["import_case"]) == {"own", "imported", "import_only", "no_import"}
    assert world.orders.filter(pl.col("replaces_return").is_not_null()).height >= 1
    assert world.orders.filter(pl.col("available_from_at").is_not_null()).height >= 1
    assert world.orders.filter(pl.col("pickup").is_not_null()).height >= 1
    assert world.lines.filter("is_deleted").height >= 1
    assert world.orders["fulfilled_by"].n_unique() == 3


def test_every_state_of_shipping_occurs(world: World) -> None:
    parts = order_parts(world)
    assert set(parts["state"]) == {"done", "preparing", "open", "cancelled"}
    wanted = {
        "service",
        "gift_card",
        "fulfilled_by_other",
        "payment_failed",
        "not_payable",
        "refunded_before_shipping",
        "cancelled_by_customer",
        "not_due",
    }
    assert wanted <= set(parts["reason"].drop_nulls())
    assert {"WH1", "S03", "S10", "S11"} <= set(parts["location"])
    late_cancel = parts.filter(pl.col("state") == "cancelled", pl.col("why") == "customer", pl.col("reason").is_null())
    assert late_cancel.height >= 1
    on_the_dot = parts.filter(pl.col("done_at") == pl.col("promise_at"))
    assert on_the_dot.height >= 1
    assert on_the_dot["is_on_time"].all()
    confirmed_unseen = world.shipments.filter(pl.col("ship_confirmed_at").is_not_null(), pl.col("done_at").is_null())
    assert confirmed_unseen.height >= 1
    assert world.shipments.filter(pl.col("cancelled_at").is_not_null()).height >= 2


def test_orders_are_placed_around_the_change_of_clocks(world: World) -> None:
    change = pl.datetime(2026, 3, 29, 1, time_zone="UTC")
    near = world.orders.filter((pl.col("ordered_at") - change).abs() <= pl.duration(minutes=15))
    assert near.filter(pl.col("ordered_at") < change).height >= 1
    assert near.filter(pl.col("ordered_at") > change).height >= 1


def test_every_kind_of_return_occurs(world: World) -> None:
    kinds = set(world.returns.lines["what"])
    assert {
        "refund",
        "whole",
        "asked",
        "proof_only",
        "undeliverable",
        "too_many",
        "no_request",
        "store_return",
        "no_resolution",
        "late_refund",
        "no_refund",
        "late_return",
        "exchange",
        "store_credit",
        "twice",
        "orphan",
    } <= kinds
    assert {"refund_only", "short", "early"} <= set(world.returns.refunds["what"])
    back = world.tickets.filter(pl.col("quantity") < 0)
    assert back.filter(pl.col("return_of").is_null()).height >= 1
    assert back.filter(~pl.col("return_of").str.starts_with("T-")).height >= 1


def test_the_truth_tells_every_exclusion(world: World) -> None:
    told = {(row["kpi_code"], row["reason"]) for row in world.truth["kpi_exclusion"] if row["dimension_kind"] == "all"}
    wanted = {
        "k1a": ("unknown_location", "unknown_product", "not_stock_tracked", "no_book", "count_on_suspicion"),
        "k3a": ("orphan", "undeliverable", "not_received", "more_than_shipped", "refund_only"),
        "k3b": ("exchange", "store_credit", "none", "no_request_date", "deferred", "not_due"),
        "k4": ("orphan", "not_published", "no_expected_price", "currency_mismatch", "ambiguous", "in_flight"),
    }
    for kpi, reasons in wanted.items():
        assert {(kpi, reason) for reason in reasons} <= told
    assert all(world.truth["worklists"][name] for name in ("k1a", "k1b", "k2", "k3a", "k3b", "k4"))


def test_prior_prices_are_breached_and_kept(world: World) -> None:
    rows = [
        row
        for row in world.truth["kpi_value"]
        if row["measure"] == "prior_price" and row["dimension_kind"] == "channel"
    ]
    assert {row["dimension_code"] for row in rows} == set(CHANNELS)
    assert all(0 < row["numerator"] < row["denominator"] for row in rows)
