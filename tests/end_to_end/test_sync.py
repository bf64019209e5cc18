"""Both shops of the sandbox, end to end: what was planted is gone, a second sync writes nothing, a revert restores it all; and orders.

What the shops show is read from the shops themselves, what they must show is worked out from the world (`wanted`). One retailer's
story is played once, and the tests look at its stages.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from orchestration.runs import RunSummary, run_orders, run_sync
from resources.errors import PermanentError
from resources.operations.plans import Plan, PlanLine
from sandbox.erp import ErpAnswer
from sandbox.live import order_number
from tests.end_to_end.story import ANALYSTS, Retailer, Shops, published, retailer
from tests.end_to_end.wanted import WEB, Arithmetic, OrderSeen, Sale, Wanted, wanted_of, wanted_orders

pytestmark = [pytest.mark.xdist_group("sync"), pytest.mark.slow]

ANNE, PAUL = "anne", "paul"
LATER_DAYS = (1.0, 2.6, 5.0)
"""Some days on, with promotions that begin and end between them."""

PLANTED: Mapping[str, pl.Expr] = {
    "stock": pl.col("stock_case").is_in(["oversell", "hidden"]) | (pl.col("case") == "moving"),
    "price": pl.col("price_case").is_in(["over", "under", "price_in_flight"]),
    "promotion": pl.col("price_case").is_in(["late", "missing_promo", "leaked", "wrong_depth", "promo_in_flight"]),
    "publication": (pl.col("price_case") == "unpublished")
    | ((pl.col("case") == "inactive_listed") & (pl.col("kind") == "simple")),
}
SHOWN_IN = {
    "stock": "quantity",
    "price": "regular_minor",
    "promotion": "effective_minor",
    "publication": "is_published",
}

Orders = Mapping[str, Mapping[str, OrderSeen]]
Files = Mapping[str, tuple[tuple[str, str], ...]]


@dataclass(frozen=True)
class FirstSync:
    """From the shops as they were found to a second sync."""

    before: Shops
    orders_before: Orders
    arithmetic: Arithmetic
    wanted: Mapping[str, Wanted]
    wanted_orders: Orders
    summary: RunSummary
    held: Sequence[Plan]
    plans: Sequence[Plan]
    after: Shops
    orders_after: Orders
    later: Mapping[float, tuple[Shops, Mapping[str, Wanted]]]
    sales: Sequence[Sale]
    again: RunSummary
    again_qty: int
    again_requests: Mapping[str, int]
    again_plans: Sequence[Plan]
    unwritable: frozenset[tuple[str, str, str, str]]
    k1b: Mapping[tuple[str, str], int]
    k4_wrong: int


@dataclass(frozen=True)
class Transmission:
    """Orders on their way to the ERP and back. ``files``, ``files_again``: file -> (channel, number) of each order in it."""

    waiting: frozenset[tuple[str, str]]
    files: Files
    answers: Sequence[ErpAnswer]
    files_again: Files
    states: Mapping[tuple[str, str], str]
    work_list: Mapping[tuple[str, str], tuple[str, str]]


@dataclass(frozen=True)
class GrossError:
    """A price ten times too high in each shop, and a wrong quantity. ``items``: channel -> (item with the price, item with the stock)."""

    items: Mapping[str, tuple[str, str]]
    broken: Shops
    held: Mapping[str, Plan]
    lines: Mapping[str, Sequence[PlanLine]]
    synced: Shops
    decided: Mapping[str, Plan]
    approved: Shops
    again: Sequence[Plan]
    again_requests: Mapping[str, int]


@dataclass(frozen=True)
class TakenBack:
    """Every plan of the first sync, reverted. ``refused``: subject -> why it was not."""

    statuses: Mapping[str, str]
    refused: Mapping[str, str]
    shown: Shops
    orders: Orders
    requests: Mapping[str, int]


@dataclass(frozen=True)
class LastSync:
    """After the ERP's new stock file: everything is wrong once more, and the rejected price is another one."""

    held: Sequence[Plan]
    lines: Mapping[str, Sequence[PlanLine]]
    arithmetic: Arithmetic
    wanted: Mapping[str, Wanted]
    shown: Shops


@dataclass(frozen=True)
class Story:
    """All of it."""

    retailer: Retailer
    first: FirstSync
    transmission: Transmission
    gross: GrossError
    taken_back: TakenBack
    last: LastSync


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory, project_root: Path) -> Iterator[Story]:
    """The story, played once."""
    with retailer(tmp_path_factory.mktemp("sync"), project_root) as shops:
        first, transmission = play_first_sync(shops)
        gross = play_gross_error(shops)
        taken_back = play_revert(shops, first)
        yield Story(shops, first, transmission, gross, taken_back, play_last_sync(shops, gross, first.sales))


def play_first_sync(shops: Retailer) -> tuple[FirstSync, Transmission]:
    """Read, send the orders, sync, approve what waits; a while later all of it again."""
    sales = [buy(shops, code) for code in WEB]
    before, orders_before = shops.shown(), shops.orders()
    shops.read_whole(shops.runtime())
    shops.clock.pass_minutes(1)
    runtime = shops.runtime()
    run_orders(runtime)
    answers = shops.sandbox.erp.answer()
    files = sent_files(shops)

    at = shops.clock.now
    arithmetic = Arithmetic(shops.world, at, sales=sales)
    wanted = {code: wanted_of(shops.world, code, before[code], arithmetic) for code in WEB}
    summary = run_sync(runtime, [])
    held = runtime.operations.plans.find(statuses=("held",))
    for plan in held:
        shops.decider(runtime, ANNE).approve(plan.plan_id)
    after, orders_after = shops.shown(), shops.orders()
    later = {}
    for days in LATER_DAYS:
        shown = shops.shown_after(days)
        then = Arithmetic(shops.world, at + timedelta(days=days))
        later[days] = shown, {code: wanted_of(shops.world, code, shown[code], then) for code in WEB}

    shops.clock.pass_minutes(1)
    count = shops.writes_from_now()
    runtime = shops.runtime()
    shops.read(runtime, select=ANALYSTS)
    run_orders(runtime)
    shops.sandbox.erp.answer()
    again = run_sync(runtime, [])
    first = FirstSync(
        before=before,
        orders_before=orders_before,
        arithmetic=arithmetic,
        wanted=wanted,
        wanted_orders={code: wanted_orders(shops.world, code, orders_before[code], at) for code in WEB},
        summary=summary,
        held=held,
        plans=runtime.operations.plans.find(run_id=summary.run_id),
        after=after,
        orders_after=orders_after,
        later=later,
        sales=sales,
        again=again,
        again_qty=len(runtime.operations.receipts.of_run(again.run_id)),
        again_requests=count(),
        again_plans=runtime.operations.plans.find(run_id=again.run_id),
        unwritable=frozenset(
            published(
                runtime,
                """SELECT channel_code, external_id, attribute, reason FROM marts.wl_unwritable
                WHERE external_id IS NOT NULL""",
            )
        ),
        k1b={
            (code, state): quantity
            for code, state, quantity in published(
                runtime, "SELECT channel_code, state, count(*) FROM kpis.k1b_listing GROUP BY ALL"
            )
        },
        k4_wrong=len(
            published(
                runtime,
                "SELECT 1 FROM kpis.k4_worklist WHERE channel_code LIKE 'web-%' AND verdict <> 'ambiguous'",
            )
        ),
    )
    transmission = Transmission(
        waiting=not_told(shops) | {(sale.channel, sale.number) for sale in sales},
        files=files,
        answers=answers,
        files_again=sent_files(shops),
        states={
            (message.channel_code, message.order_number): message.state
            for message in runtime.operations.order_messages.select()
        },
        work_list={
            (code, number): (problem, reason)
            for code, number, problem, reason in published(
                runtime, "SELECT channel_code, order_number, problem, reason FROM marts.wl_order"
            )
        },
    )
    return first, transmission


def play_gross_error(shops: Retailer) -> GrossError:
    """Somebody types a zero too many into a price of each shop, and a wrong quantity; Anne approves, Paul rejects."""
    runtime = shops.runtime()
    good = shops.shown()
    items = {code: untouched(shops, code) for code in WEB}
    for code, (priced, stocked) in items.items():
        regular = good[code][priced].regular_minor
        assert regular is not None
        shops.change_in_shop(runtime, code, priced, "regular_minor", regular * 10)
        shops.change_in_shop(runtime, code, stocked, "published_qty", 1)
    broken = shops.shown()
    shops.clock.pass_minutes(1)
    runtime = shops.runtime()
    shops.read(runtime)
    run_sync(runtime, [])
    plans = runtime.operations.plans
    held = {plan.channel_code: plan for plan in plans.find(statuses=("held",))}
    synced = shops.shown()
    shops.decider(runtime, ANNE).approve(held["web-be"].plan_id)
    shops.decider(runtime, PAUL).reject(held["web-fr"].plan_id)
    approved = shops.shown()
    count = shops.writes_from_now()
    again = run_sync(runtime, [])
    return GrossError(
        items=items,
        broken=broken,
        held=held,
        lines={code: plans.lines(plan.plan_id) for code, plan in held.items()},
        synced=synced,
        decided={code: plans.get(plan.plan_id) for code, plan in held.items()},
        approved=approved,
        again=[*plans.find(run_id=again.run_id), *plans.find(statuses=("held", "approved", "applying"))],
        again_requests=count(),
    )


def play_revert(shops: Retailer, first: FirstSync) -> TakenBack:
    """Every plan of the first sync is taken back, newest first; the next sync leaves that alone."""
    shops.clock.pass_minutes(1)
    runtime = shops.runtime()
    statuses, refused = {}, {}
    for plan in first.plans:
        try:
            shops.decider(runtime, ANNE).revert(
                runtime.retailer, runtime.settings.data_dir, plan.plan_id, is_approved=True
            )
        except PermanentError as error:
            refused[plan.plan_id] = str(error)
        statuses[plan.plan_id] = runtime.operations.plans.get(plan.plan_id).status
    shown, orders = shops.shown(), shops.orders()
    count = shops.writes_from_now()
    run_sync(runtime, [])
    return TakenBack(statuses, refused, shown, orders, count())


def play_last_sync(shops: Retailer, gross: GrossError, sales: Sequence[Sale]) -> LastSync:
    """The ERP writes its stock anew, the rejected price is changed once more, and everything that waits is approved."""
    priced, _ = gross.items["web-fr"]
    wrong = shops.shown()["web-fr"][priced].regular_minor
    assert wrong is not None
    shops.change_in_shop(shops.runtime(), "web-fr", priced, "regular_minor", wrong * 2)
    shops.clock.pass_minutes(1)
    erp = shops.sandbox.erp
    levels = shops.sandbox.ledger.levels(shops.clock.now)
    erp.write_stock()
    shops.clock.pass_minutes(1)
    runtime = shops.runtime()
    found = shops.shown()
    booked = {key: erp.answered_at(key) for key, order in erp.booked.items() if order is not None}
    arithmetic = Arithmetic(
        shops.world,
        shops.clock.now,
        levels=levels,
        booked={key: at for key, at in booked.items() if at is not None},
        sales=sales,
    )
    shops.read(runtime)
    run_sync(runtime, [])
    plans = runtime.operations.plans
    held = plans.find(statuses=("held",))
    lines = {plan.plan_id: plans.lines(plan.plan_id) for plan in held}
    for plan in held:
        shops.decider(runtime, ANNE).approve(plan.plan_id)
    return LastSync(
        held=held,
        lines=lines,
        arithmetic=arithmetic,
        wanted={code: wanted_of(shops.world, code, found[code], arithmetic) for code in WEB},
        shown=shops.shown(),
    )


def listings(shops: Retailer, channel: str) -> pl.DataFrame:
    """Listings of a channel with what was planted in each; products with variants are no listing."""
    shop = shops.world.web_fr if channel == "web-fr" else shops.world.web_be
    return shop.listings.filter(pl.col("kind") != "parent")


NOTHING_PLANTED = (
    (pl.col("kind") == "simple")
    & (pl.col("case") == "none")
    & (pl.col("price_case") == "none")
    & (pl.col("stock_case") == "none")
)


def untouched(shops: Retailer, channel: str) -> tuple[str, str]:
    """Two items that nothing is wrong with, and that nobody buys: the last ones."""
    *_, first, second = (
        listings(shops, channel).filter(NOTHING_PLANTED, pl.col("published_qty") > 3)["external_id"].to_list()
    )
    return first, second


def buy(shops: Retailer, channel: str) -> Sale:
    """A buyer orders two units of an article that both shops have and no kit holds, fewer of it than either may show at most."""
    parts = shops.world.catalogue.kits["component"].unique().to_list()
    enough = NOTHING_PLANTED & pl.col("published_qty").is_between(5, 17) & ~pl.col("item").is_in(parts)
    other = listings(shops, next(code for code in WEB if code != channel)).filter(enough).select("item")
    row = (
        listings(shops, channel)
        .filter(enough)
        .join(other, on="item", maintain_order="left")
        .row(WEB.index(channel), named=True)
    )
    shops.clock.pass_minutes(1)
    placed: object
    if channel == "web-fr":
        placed = shops.sandbox.shop_fr.place_order([(row["item_id"], 2)])
    else:
        placed = shops.sandbox.shop_be.place_order([(row["item_id"], 2)])
    return Sale(channel, order_number(placed), row["item"], 2)


def not_told(shops: Retailer) -> frozenset[tuple[str, str]]:
    """Web orders of the world that the ERP never answered and that can be booked: paid, alive, to be shipped by the retailer."""
    world = shops.world
    answered = set(world.stock.acknowledgements["order"])
    orders = world.orders.filter(
        pl.col("channel").is_in(WEB), pl.col("status") == "payable", pl.col("fulfilled_by") == "retailer"
    )
    return frozenset(
        (row["channel"], row["number"]) for row in orders.iter_rows(named=True) if row["order"] not in answered
    )


def sent_files(shops: Retailer) -> dict[str, tuple[tuple[str, str], ...]]:
    """Every ORDERS file that the ERP took, and the orders in it, as an XML reader sees them."""
    found = {}
    for path in sorted((shops.sandbox.erp.inbox / "archive").glob("*.xml")):
        root = ET.fromstring(path.read_bytes())  # noqa: S314  a file that the test made
        found[path.name] = tuple((order.attrib["canal"], order.attrib["numero"]) for order in root)
    return found


def differing(found: Mapping[str, Any], expected: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name -> (what is shown, what must be), where they are not the same."""
    return {
        name: (found.get(name), expected.get(name))
        for name in {*found, *expected}
        if found.get(name) != expected.get(name)
    }


# -- before, and after the first sync ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("channel", WEB)
def test_before_the_sync_a_buyer_sees_every_planted_defect(story: Story, channel: str, kind: str) -> None:
    planted = listings(story.retailer, channel).filter(PLANTED[kind])["external_id"].to_list()
    assert planted
    shown, wanted = story.first.before[channel], story.first.wanted[channel].listings
    name = SHOWN_IN[kind]
    assert [item for item in planted if getattr(shown[item], name) == getattr(wanted[item], name)] == []


@pytest.mark.parametrize("channel", WEB)
def test_after_it_every_listing_shows_what_the_world_says(story: Story, channel: str) -> None:
    first = story.first
    expected = first.wanted[channel].listings
    assert len(expected) > 300
    shown = {name: first.after[channel][name] for name in expected}
    assert differing(shown, expected) == {}
    assert first.summary.is_good, first.summary.errors
    assert {plan.status for plan in first.plans} == {"applied"}


def test_products_with_variants_are_as_they_were(story: Story) -> None:
    """WooCommerce shows a product's own row beside its variants: its price follows theirs, nothing else moves."""
    for channel in WEB:
        others = story.first.before[channel].keys() - story.first.wanted[channel].listings.keys()
        for name in others:
            before, after = story.first.before[channel][name], story.first.after[channel][name]
            assert (after.quantity, after.is_published) == (before.quantity, before.is_published)


@pytest.mark.parametrize("channel", WEB)
@pytest.mark.parametrize("days", LATER_DAYS)
def test_promotions_begin_and_end_in_the_shop_by_themselves(story: Story, channel: str, days: float) -> None:
    shown, wanted = story.first.later[days]
    known = {name for name, attribute in story.first.wanted[channel].unwritable if attribute != "published_qty"}
    prices = {name: (item.regular_minor, item.effective_minor) for name, item in wanted[channel].listings.items()}
    found = {name: (item.regular_minor, item.effective_minor) for name, item in shown[channel].items()}
    assert differing({name: found[name] for name in prices}, prices).keys() <= known
    today = {name: item.effective_minor for name, item in story.first.wanted[channel].listings.items()}
    assert days < 2 or any(today[name] != price for name, (_, price) in prices.items()), "no promotion began or ended"


@pytest.mark.parametrize("channel", WEB)
def test_what_no_write_can_mend_is_listed_with_the_reason(story: Story, channel: str) -> None:
    told = {(item, attribute): reason for code, item, attribute, reason in story.first.unwritable if code == channel}
    assert told == story.first.wanted[channel].unwritable
    reasons = {"stale_stock", "ambiguous_promotion", "currency_mismatch", "no_expected_price", "unknown_product"}
    assert reasons <= set(told.values())


def test_gross_price_errors_of_the_world_waited_for_a_person(story: Story) -> None:
    assert {plan.subject for plan in story.first.held} == {"price"}
    for plan in story.first.plans:
        if plan.plan_id in {held.plan_id for held in story.first.held}:
            assert (plan.decided_by, plan.note) == (ANNE, "looked at")
        else:
            assert plan.decided_by is None


def test_analysts_see_no_wrong_listing_either(story: Story) -> None:
    for channel in WEB:
        assert story.first.k1b.get((channel, "wrong"), 0) == 0
        assert story.first.k1b[channel, "ok"] > 200
    assert story.first.k4_wrong == 0


# -- a second sync -----------------------------------------------------------------------------------------------------


def test_a_second_sync_writes_nothing(story: Story) -> None:
    first = story.first
    assert first.again.is_good, first.again.errors
    assert (first.again_qty, first.again_plans, first.again_requests) == (0, [], {"web-fr": 0, "web-be": 0})


# -- orders ------------------------------------------------------------------------------------------------------------


def test_each_order_that_the_erp_did_not_know_was_sent_once(story: Story) -> None:
    sent = Counter(order for orders in story.transmission.files.values() for order in orders)
    assert set(sent) == story.transmission.waiting
    assert set(sent.values()) == {1}
    assert {channel for channel, _ in sent} == set(WEB)
    assert story.transmission.files_again == story.transmission.files
    assert story.retailer.sandbox.erp.duplicates == []
    assert story.retailer.sandbox.erp.unreadable == []


def test_what_the_erp_decided_is_known_and_refusals_are_on_the_work_list_in_its_words(story: Story) -> None:
    decided = {answer.order.key: answer for answer in story.transmission.answers}
    assert decided.keys() == story.transmission.waiting
    assert {answer.decision for answer in decided.values()} == {"booked", "refused"}
    for key, answer in decided.items():
        if answer.decision == "booked":
            assert story.transmission.states[key] == "acknowledged"
            assert key in story.retailer.sandbox.erp.booked
            assert key not in story.transmission.work_list
        else:
            assert answer.reason
            assert story.transmission.states[key] == "refused"
            assert story.transmission.work_list[key] == ("refused", answer.reason)


@pytest.mark.parametrize("channel", WEB)
def test_what_left_is_told_in_the_shops_orders_with_its_parcel_number(story: Story, channel: str) -> None:
    first = story.first
    assert (
        differing(first.orders_after[channel], {**first.orders_before[channel], **first.wanted_orders[channel]}) == {}
    )
    changed = differing(first.orders_after[channel], first.orders_before[channel])
    assert changed
    parcels = story.retailer.world.shipments.join(
        story.retailer.world.orders.select("order", "number"), on="order"
    ).select("number", "tracking")
    told = {(number, after.tracking_number) for number, (after, _) in changed.items()}
    assert told <= set(parcels.rows())


def test_what_one_shop_sold_the_other_shows_no_more(story: Story) -> None:
    """The ERP knows nothing of the order when the shops are written: its next push of stock must not undo the sale."""
    for sale in story.first.sales:
        for channel in WEB:
            row = listings(story.retailer, channel).row(by_predicate=pl.col("item") == sale.item, named=True)
            quantities = [
                shown[channel][row["external_id"]].quantity for shown in (story.first.before, story.first.after)
            ]
            sold_here = row["published_qty"] - sale.quantity
            assert quantities == [sold_here if channel == sale.channel else row["published_qty"], sold_here]


# -- a held plan -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", WEB)
def test_a_gross_price_error_holds_prices_and_nothing_else(story: Story, channel: str) -> None:
    gross, good = story.gross, story.first.after[channel]
    priced, stocked = gross.items[channel]
    assert (gross.broken[channel][priced].regular_minor, gross.broken[channel][stocked].quantity) == (
        (good[priced].regular_minor or 0) * 10,
        1,
    )
    plan = gross.held[channel]
    assert (plan.subject, [reason.guard for reason in plan.held_reasons]) == ("price", ["price_fall"])
    assert [(line.external_id, line.attribute) for line in gross.lines[channel]] == [(priced, "regular_minor")]
    still_wrong = {priced: gross.broken[channel][priced]}
    assert differing(gross.synced[channel], {**good, **still_wrong}) == {}, "stock is right again, the price waits"


def test_an_approved_plan_is_written_and_a_rejected_one_is_not(story: Story) -> None:
    gross, good = story.gross, story.first.after
    assert differing(gross.approved["web-be"], good["web-be"]) == {}
    assert differing(gross.approved["web-fr"], gross.synced["web-fr"]) == {}
    decided = {code: (plan.status, plan.decided_by, plan.note) for code, plan in gross.decided.items()}
    assert decided == {"web-be": ("applied", ANNE, "looked at"), "web-fr": ("rejected", PAUL, "looked at")}


def test_what_was_rejected_is_not_proposed_again_until_it_changes(story: Story) -> None:
    assert (story.gross.again, story.gross.again_requests) == ([], {"web-fr": 0, "web-be": 0})
    priced, _ = story.gross.items["web-fr"]
    rejected = story.gross.held["web-fr"]
    wrong = story.gross.broken["web-fr"][priced].regular_minor
    proposed = [
        (plan.subject, line.before)
        for plan in story.last.held
        for line in story.last.lines[plan.plan_id]
        if (plan.channel_code, line.external_id) == ("web-fr", priced)
    ]
    assert proposed == [("price", (wrong or 0) * 2)]
    assert rejected.plan_id not in story.last.lines


# -- a revert ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", WEB)
def test_a_revert_restores_what_the_shops_showed(story: Story, channel: str) -> None:
    expected = dict(story.first.before[channel])
    if channel == "web-fr":  # what somebody else did stays: the price that Paul left as it was
        priced, _ = story.gross.items[channel]
        expected[priced] = story.gross.broken[channel][priced]
    assert differing(story.taken_back.shown[channel], expected) == {}


def test_shipments_are_not_taken_back(story: Story) -> None:
    """The parcels have left and the shops have told their buyers: a revert says so and touches no order."""
    subjects = {plan.plan_id: plan.subject for plan in story.first.plans}
    assert {subjects[plan_id] for plan_id in story.taken_back.refused} == {"shipment"}
    assert all("shipments are not taken back" in reason for reason in story.taken_back.refused.values())
    statuses = {(subjects[plan_id], status) for plan_id, status in story.taken_back.statuses.items()}
    assert statuses == {(subject, "reverted") for subject in ("stock", "price", "publication")} | {
        ("shipment", "applied")
    }
    assert story.taken_back.orders == story.first.orders_after


def test_what_a_person_took_back_is_written_again_only_by_a_person(story: Story) -> None:
    assert story.taken_back.requests == {"web-fr": 0, "web-be": 0}
    held = {
        (plan.channel_code, plan.subject): [reason.guard for reason in plan.held_reasons] for plan in story.last.held
    }
    assert held.keys() == {(code, subject) for code in WEB for subject in ("stock", "price", "publication")}
    assert all("reverted" in guards for guards in held.values()), held


# -- the ERP's next stock ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channel", WEB)
def test_with_the_next_stock_file_every_listing_is_right_again(story: Story, channel: str) -> None:
    expected = story.last.wanted[channel].listings
    shown = {name: story.last.shown[channel][name] for name in expected}
    assert differing(shown, expected) == {}
    assert "stale_stock" not in story.last.wanted[channel].unwritable.values()


def test_orders_that_the_erp_booked_lower_the_stock_once(story: Story) -> None:
    """Sent and accepted, an order is in the ERP's own stock row from the next file on; what channels may sell counts it there only."""
    erp, first, last = story.retailer.sandbox.erp, story.first.arithmetic, story.last.arithmetic
    booked = [order for order in erp.booked.values() if order is not None]
    units = [
        (unit.location, item, quantity)
        for order in booked
        for unit in erp.units(order)
        for item, quantity in first.goods(unit.item, unit.quantity)
    ]
    assert units
    for place, item, quantity in units:
        assert first.unknown[place, item] >= quantity
        assert last.unknown.get((place, item), 0) <= first.unknown[place, item] - quantity
    seen = {
        (channel, row["item"]): story.last.shown[channel][row["external_id"]].quantity
        for channel in WEB
        for row in listings(story.retailer, channel).iter_rows(named=True)
    }
    told = []
    for place, item, quantity in units:
        for channel in WEB:
            once = last.quantity(channel, item)
            twice = replace_unknown(last, place, item, quantity).quantity(channel, item)
            if (channel, item) in seen and once != twice:
                told.append(seen[channel, item] == once)
    assert told, "no booked article on sale shows the difference"
    assert all(told)


def replace_unknown(arithmetic: Arithmetic, place: str, item: int, quantity: int) -> Arithmetic:
    """The same arithmetic, were those units subtracted once more."""
    other = object.__new__(Arithmetic)
    other.__dict__.update(arithmetic.__dict__)
    other.unknown = arithmetic.unknown.copy()
    other.unknown[place, item] = other.unknown[place, item] + quantity
    return other
