"""Guards: what holds a plan until a person has looked at it.

Each guard is one function: it measures a plan against its limit and says what it found, or nothing. A limit is in retailer.yaml
(`guards`). Belongs here: the measuring. What is planned is in `planning`, who decides is in the operations store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from resources.connectors.sdk.writing import JsonValue
from resources.operations.plans import HeldReason, PlanLine
from resources.operations.receipts import WriteKey
from resources.retailer import Channel, GuardLimits
from resources.sync.facts import GuardFact

EXAMPLES = 5
"""Lines shown with a guard: enough to see what kind of change it is."""


FOUGHT_TIMES, FOUGHT_WITHIN = 3, timedelta(days=1)
"""A value that was written so often within so long, each time the same and each time kept, is set back by somebody else."""


@dataclass(frozen=True)
class Measured:
    """What the guards of one plan look at. ``lines`` are those that would be written; ``reverted``: what a person took back;
    ``fought_over``: what was written again and again lately, and did not last; ``regular_minor``: regular price that an item
    should have, by its external id. ``day_ago``: what stood there a day ago, of values that were written since and that nobody
    approved: many small steps are one large one.

    ``now`` is the clock of the planning; ``channel`` says how old an observation may be.
    """

    channel: Channel
    subject: str
    lines: Sequence[PlanLine]
    fact: GuardFact
    limits: GuardLimits
    now: datetime
    reverted: Sequence[PlanLine] = ()
    fought_over: Sequence[PlanLine] = ()
    day_ago: Mapping[WriteKey, JsonValue] = field(default_factory=dict)
    regular_minor: Mapping[str, int] = field(default_factory=dict)


Guard = Callable[[Measured], HeldReason | None]


def held_reasons(measured: Measured, *, is_revert: bool = False) -> tuple[HeldReason, ...]:
    """Why a plan must wait: one reason for each guard it goes over; none when it may be written at once.

    A revert is made from receipts, not from an observation: the guards of the observation do not look at it.
    """
    guards = CONTENT_GUARDS if is_revert else (*OBSERVATION_GUARDS, *CONTENT_GUARDS)
    return tuple(reason for guard in guards if (reason := guard(measured)) is not None)


def observation_is_there(measured: Measured) -> HeldReason | None:
    """The channel was read, and not as an empty one: nothing is written on the word of a channel that showed nothing."""
    fact = measured.fact
    if fact.observation_read_at is not None and (fact.observed_qty or not fact.listings_qty):
        return None
    return HeldReason(
        guard="observation",
        what="the channel was not read" if fact.observation_read_at is None else "the channel showed nothing",
        measured=f"{fact.observed_qty} of {fact.listings_qty} listings seen",
        limit="at least one",
        action=f"`etalon check {measured.channel.system}` tells whether the system answers; then `etalon run`",
    )


def observation_is_fresh(measured: Measured) -> HeldReason | None:
    """The channel was read lately enough."""
    read_at, limit = measured.fact.observation_read_at, measured.channel.stock_stale_after_minutes
    if read_at is None or limit is None or measured.now - read_at <= timedelta(minutes=limit):
        return None
    return HeldReason(
        guard="stale_observation",
        what="what the channel shows was read too long ago",
        measured=_minutes(measured.now - read_at),
        limit=f"{limit} minutes (stock_stale_after_minutes)",
        action="`etalon run` reads it again; the next plan is made on that",
    )


def sources_were_read(measured: Measured) -> HeldReason | None:
    """Every stream that says what is wanted was read."""
    failed = measured.fact.failed_streams
    if not failed:
        return None
    return HeldReason(
        guard="failed_source",
        what="what is wanted comes from streams whose last reading failed",
        measured=", ".join(failed),
        limit="none",
        action="`etalon incidents` says what broke; after the next good `etalon run` the plan is made again",
    )


def orders_are_as_fresh_as_stock(measured: Measured) -> HeldReason | None:
    """The channel's own orders are known up to the instant of the stock: else units just sold would be offered again."""
    if measured.subject != "stock":
        return None
    orders_at, stock_at = measured.fact.orders_read_at, measured.fact.source_as_of_at
    limit = measured.limits.max_orders_lag_minutes
    if orders_at is not None and (stock_at is None or stock_at - orders_at <= timedelta(minutes=limit)):
        return None
    return HeldReason(
        guard="orders_lag",
        what="the channel's orders are older than the stock",
        measured="its orders were never read"
        if orders_at is None or stock_at is None
        else _minutes(stock_at - orders_at),
        limit=f"{limit} minutes (max_orders_lag_minutes)",
        action="read the orders first: `etalon run`",
    )


def not_reverted(measured: Measured) -> HeldReason | None:
    """What a person took back is not written again by itself."""
    if not measured.reverted:
        return None
    return HeldReason(
        guard="reverted",
        what="values that a person reverted would be written again",
        measured=_lines(len(measured.reverted)),
        limit="none",
        action="mend what is wanted at its source, or approve",
        examples=_examples(measured.reverted),
    )


def nobody_fights_it(measured: Measured) -> HeldReason | None:
    """Two masters that overwrite each other never end, and buyers see both prices."""
    if not measured.fought_over:
        return None
    return HeldReason(
        guard="fought_over",
        what="another hand sets values back each time they are written",
        measured=_lines(len(measured.fought_over)),
        limit=f"{FOUGHT_TIMES} times in {FOUGHT_WITHIN.days} day",
        action="find who else writes to the channel (another connector, a plug-in, a person) and end it; then approve",
        examples=_examples(measured.fought_over),
    )


def share_of_listings(measured: Measured) -> HeldReason | None:
    """A plan that touches much of a channel at once is more often a bad source than a busy day."""
    if measured.subject == "shipment":
        return None  # a day's parcels are many of the orders that are open, and status never goes back
    touched = {line.external_id for line in measured.lines}
    reason = _share(measured, len(touched), int(measured.limits.max_share_pct * 100))
    if reason is None:
        return None
    return HeldReason(
        guard="share_of_listings",
        what="the plan touches a large part of the channel",
        measured=reason,
        limit=f"{measured.limits.max_share_pct} % (max_share_pct)",
        action="look whether the source is right; then approve or reject",
        examples=_examples(measured.lines),
    )


def price_falls(measured: Measured) -> HeldReason | None:
    """A price that falls far is most often an error of entry, and customers are quick."""
    limit = measured.limits.max_price_fall_pct
    over = [line for line, change in _price_changes(measured) if -change > limit]
    if not over:
        return None
    return HeldReason(
        guard="price_fall",
        what="prices fall too far",
        measured=f"{_lines(len(over))}, the worst by {-min(change for _, change in _price_changes(measured)):.1f} %",
        limit=f"{limit} % (max_price_fall_pct)",
        action="look at the prices; then approve, or mend them at their source and reject",
        examples=_examples(over),
    )


def price_rises(measured: Measured) -> HeldReason | None:
    """A price that rises far sells nothing, and looks bad."""
    limit = measured.limits.max_price_rise_pct
    over = [line for line, change in _price_changes(measured) if change > limit]
    if not over:
        return None
    return HeldReason(
        guard="price_rise",
        what="prices rise too far",
        measured=f"{_lines(len(over))}, the worst by {max(change for _, change in _price_changes(measured)):.1f} %",
        limit=f"{limit} % (max_price_rise_pct)",
        action="look at the prices; then approve, or mend them at their source and reject",
        examples=_examples(over),
    )


def promotion_depth(measured: Measured) -> HeldReason | None:
    """A promotion far under the regular price is most often a slip of the comma, whatever was there before."""
    limit = measured.limits.max_promotion_depth_pct
    depths = [
        (line, -change)
        for line in measured.lines
        if line.attribute == "promotion"
        and (change := price_change_pct(measured.regular_minor.get(line.external_id), line.after)) is not None
    ]
    over = [(line, depth) for line, depth in depths if depth > limit]
    if not over:
        return None
    return HeldReason(
        guard="promotion_depth",
        what="promotions are too deep",
        measured=f"{_lines(len(over))}, the deepest {max(depth for _, depth in over):.1f} % under the regular price",
        limit=f"{limit} % (max_promotion_depth_pct)",
        action="look at the promotions; then approve, or mend them at their source and reject",
        examples=_examples([line for line, _ in over]),
    )


def no_price_of_zero(measured: Measured) -> HeldReason | None:
    """Nothing is sold for nothing by itself, whatever stood there before."""
    over = [line for line in _price_lines(measured.lines) if (price := _price(line.after)) is not None and price <= 0]
    if not over:
        return None
    return HeldReason(
        guard="price_of_zero",
        what="prices of zero",
        measured=_lines(len(over)),
        limit="none",
        action="mend the price at its source; approve only what is meant to be free",
        examples=_examples(over),
    )


def set_to_zero(measured: Measured) -> HeldReason | None:
    """An empty stock file looks like a sold-out shop."""
    limits = measured.limits
    over = [line for line in measured.lines if line.attribute == "published_qty" and line.after == 0]
    share = _share(measured, len(over), int(limits.max_zeroed_pct * 100))
    if len(over) <= limits.max_zeroed_qty and share is None:
        return None
    return HeldReason(
        guard="set_to_zero",
        what="many quantities would be set to zero",
        measured=share or _lines(len(over)),
        limit=f"{limits.max_zeroed_qty} lines (max_zeroed_qty), {limits.max_zeroed_pct} % (max_zeroed_pct)",
        action="look whether the stock file is whole; then approve or reject",
        examples=_examples(over),
    )


def unpublished(measured: Measured) -> HeldReason | None:
    """Taking much off sale is a decision."""
    limit = measured.limits.max_unpublished_qty
    over = [line for line in measured.lines if line.attribute == "is_published" and line.after is False]
    if len(over) <= limit:
        return None
    return HeldReason(
        guard="unpublished",
        what="many listings would be taken off sale",
        measured=_lines(len(over)),
        limit=f"{limit} lines (max_unpublished_qty)",
        action="look whether the catalogue is whole; then approve or reject",
        examples=_examples(over),
    )


OBSERVATION_GUARDS: tuple[Guard, ...] = (
    observation_is_there,
    observation_is_fresh,
    sources_were_read,
    orders_are_as_fresh_as_stock,
    not_reverted,
    nobody_fights_it,
)
CONTENT_GUARDS: tuple[Guard, ...] = (
    share_of_listings,
    price_falls,
    price_rises,
    promotion_depth,
    no_price_of_zero,
    set_to_zero,
    unpublished,
)


def price_change_pct(before: JsonValue, after: JsonValue) -> float | None:
    """By how many percent a price moves (below 0: it falls); None where one of them is no price, or the first one is 0."""
    old, new = _price(before), _price(after)
    if old is None or new is None or old <= 0:
        return None
    return (new - old) * 100 / old


def shown(value: JsonValue) -> str:
    """A canonical value as a person reads it: a promotion with its window, nothing as `none`."""
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {shown(part)}" for name, part in value.items() if part is not None)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _price(value: JsonValue) -> int | None:
    """Minor units of a price or a promotion. A quantity is an int as well: ask only of prices."""
    if isinstance(value, Mapping):
        value = value.get("minor")
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _price_lines(lines: Sequence[PlanLine]) -> Iterator[PlanLine]:
    return (line for line in lines if line.attribute in ("regular_minor", "promotion"))


def _price_changes(measured: Measured) -> Iterator[tuple[PlanLine, float]]:
    """How far each price moves: in this plan, or with what was written within a day, whichever is more."""
    for line in _price_lines(measured.lines):
        starts = (line.before, measured.day_ago.get(line.write_key))
        changes = [change for start in starts if (change := price_change_pct(start, line.after)) is not None]
        if changes:
            yield line, max(changes, key=abs)


def _share(measured: Measured, quantity: int, limit_in_hundredths_pct: int) -> str | None:
    """What a share over its limit measured, in words; None under the limit or where shares are not looked at."""
    listings = measured.fact.listings_qty
    if quantity < measured.limits.share_from_lines or not listings:
        return None
    # Whole numbers: a share exactly at its limit is not over it.
    if quantity * 100 * 100 <= limit_in_hundredths_pct * listings:
        return None
    return f"{quantity:,} of {listings:,} listings, {quantity * 100 / listings:.1f} %"


def _examples(lines: Sequence[PlanLine]) -> tuple[str, ...]:
    worst = sorted(lines, key=lambda line: (-line.value_at_risk_minor, line.write_key))[:EXAMPLES]
    return tuple(
        f"{line.sku or line.external_id} {line.attribute}: {shown(line.before)} -> {shown(line.after)}"
        for line in worst
    )


def _lines(quantity: int) -> str:
    return f"{quantity:,} line" + ("" if quantity == 1 else "s")


def _minutes(duration: timedelta) -> str:
    return f"{int(duration.total_seconds() // 60):,} minutes"
