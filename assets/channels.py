"""Assets of the channel sync: what differs, what is planned, what was written. One of each per channel that can be written.

The difference is the main job's, and the last thing it reads from the warehouse. Plan and receipts are a job of their own, which
never opens the warehouse. Belongs here: turning what `resources.sync` did into metadata and checks.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

from collections import Counter
from collections.abc import Iterator, Sequence

import dagster as dg
import polars as pl

from assets.freshness import FRESHNESS
from assets.names import WRITER_POOL, channel_pool, model_key, sync_key
from assets.progress import Progress
from assets.runtime import Runtime
from assets.sql_models import OWNER, markdown_table, plain
from resources.connectors.sdk.writing import WritingConnector
from resources.contracts.currencies import major_text
from resources.errors import PermanentError, RetryableError
from resources.operations.plans import HeldReason, Plan, PlanLine
from resources.retailer import Channel
from resources.sync.applying import ApplySummary, apply_pending
from resources.sync.facts import Difference, guard_fact, read_difference, write_difference
from resources.sync.guards import shown
from resources.sync.planning import SubjectPlan, plan_channel

DIFFERENCE, PLAN, RECEIPTS = "difference", "plan", "receipts"
NOT_HELD, OBSERVED, ALL_WRITTEN = "not_held", "observed", "all_written"
GROUP = "channel_sync"
"""Group of the plans and receipts, and the job that makes them."""

_MODELS = ("channels.difference", "channels.guard_fact", "channels.desired_price")
_ROWS = """
select d.*, p.desired_regular_minor as regular_minor
from channels.difference as d
left join channels.desired_price as p
    on d.channel_code = p.channel_code and d.external_id = p.product_external_id and d.subject = 'price'
where d.channel_code = ?
order by d.subject, d.entity, d.external_id, d.location_code, d.attribute
"""
_FACTS = "select * from channels.guard_fact where channel_code = ?"
_SHOWN = 20
_OBSERVATION_GUARDS = ("observation", "stale_observation")
RETRIES, RETRY_WAIT_S = 3, 10
"""A difference that is just being swapped in is whole a moment later."""


def written_channels(runtime: Runtime) -> list[Channel]:
    """Channels whose system can be written."""
    return [
        channel
        for channel in runtime.retailer.channels
        if channel.kind == "web" and isinstance(runtime.connectors.get(channel.system), WritingConnector)
    ]


def channel_assets(runtime: Runtime) -> list[dg.AssetsDefinition]:
    """The differences, and per channel its plan and its receipts. None where the SQL project has no model of what differs."""
    channels = written_channels(runtime)
    if not channels or not all(name in runtime.project.models for name in _MODELS):
        return []
    made = [_differences(runtime, channels)]
    for channel in channels:
        made += [_plan(runtime, channel), _receipts(runtime, channel)]
    return made


def sync_keys(runtime: Runtime) -> list[dg.AssetKey]:
    """Plans and receipts: they are a job of their own."""
    return [key for asset in channel_assets(runtime) for key in asset.keys if key.path[-1] in (PLAN, RECEIPTS)]


def _differences(runtime: Runtime, channels: Sequence[Channel]) -> dg.AssetsDefinition:
    keys = {sync_key(channel.code, DIFFERENCE): channel for channel in channels}

    @dg.multi_asset(
        name="export_differences",
        specs=[
            dg.AssetSpec(
                key,
                deps=[model_key(*name.split(".")) for name in _MODELS],
                group_name=GROUP,
                description=f"What **{channel.name}** shows against what it should, and the facts its guards need, as files for the "
                "sync: it never opens the warehouse.",
                kinds={"parquet"},
                owners=[OWNER],
                tags={"etalon/system": channel.system},
                freshness_policy=FRESHNESS,
            )
            for key, channel in keys.items()
        ],
        can_subset=True,
        pool=WRITER_POOL,
    )
    def export_differences(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        selected = {key: channel for key, channel in keys.items() if key in context.selected_asset_keys}
        with runtime.writer("differences of channels") as con:
            found = {
                key: tuple(con.execute(query, [channel.code]).pl() for query in (_ROWS, _FACTS))
                for key, channel in selected.items()
            }
        for number, (key, channel) in enumerate(selected.items()):
            runtime.report(Progress("export_differences", channel.code, number, len(selected)))
            rows, facts = found[key]
            difference = Difference(
                channel_code=channel.code,
                system_code=channel.system,
                run_id=context.run.run_id,
                as_of_at=runtime.settings.clock()(),
                rows=rows,
                facts={row["subject"]: guard_fact(row) for row in facts.iter_rows(named=True)},
            )
            path = write_difference(runtime.settings.data_dir, difference)
            yield dg.MaterializeResult(
                asset_key=key,
                metadata={
                    "dagster/row_count": rows.height,
                    "path": dg.MetadataValue.path(str(path)),
                    "lines by subject": dg.MetadataValue.md(_by_subject(rows)),
                    "facts": dg.MetadataValue.md(_facts_table(difference)),
                },
            )

    return export_differences


def _plan(runtime: Runtime, channel: Channel) -> dg.AssetsDefinition:
    key, step = sync_key(channel.code, PLAN), f"plan_{channel.code.replace('-', '_')}"

    @dg.multi_asset(
        name=step,
        specs=[
            dg.AssetSpec(
                key,
                deps=[sync_key(channel.code, DIFFERENCE)],
                group_name=GROUP,
                description=f"What is to be written to **{channel.name}**, one plan per subject; a plan that goes over a guard waits "
                "for a person: `etalon plans list`.",
                kinds={"plan"},
                owners=[OWNER],
                tags={"etalon/system": channel.system},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(NOT_HELD, asset=key, description="No plan waits for a person."),
            dg.AssetCheckSpec(OBSERVED, asset=key, description="The channel was read lately, and showed something."),
        ],
        pool=channel_pool(channel.code),
    )
    def plan(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        runtime.report(Progress(step, channel.code, 0, 1))
        try:
            difference = read_difference(runtime.settings.data_dir, channel.code)
        except RetryableError as error:
            raise dg.RetryRequested(max_retries=RETRIES, seconds_to_wait=RETRY_WAIT_S) from error
        except PermanentError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        planned = plan_channel(
            runtime.operations,
            runtime.retailer,
            difference,
            run_id=context.run.run_id,
            now=runtime.settings.clock()(),
        )
        yield _planned(runtime, key, difference, planned)

    return plan


def _planned(
    runtime: Runtime, key: dg.AssetKey, difference: Difference, planned: Sequence[SubjectPlan]
) -> dg.MaterializeResult[None]:
    held = runtime.operations.plans.find(channel_code=difference.channel_code, statuses=("held",))
    reasons = [(plan.plan_id, plan.subject, reason) for plan in held for reason in plan.held_reasons]
    lines = sorted(
        (line for subject in planned for line in subject.lines),
        key=lambda line: (-line.value_at_risk_minor, line.write_key),
    )
    unseen = [row for row in reasons if row[2].guard in _OBSERVATION_GUARDS]
    guards_table = markdown_table(
        ("plan", "guard", "what", "measured", "limit", "what to do", "examples"),
        [
            (
                plan_id,
                reason.guard,
                reason.what,
                reason.measured,
                reason.limit,
                reason.action,
                "; ".join(reason.examples),
            )
            for plan_id, _, reason in reasons
        ],
    )
    return dg.MaterializeResult(
        asset_key=key,
        metadata={
            "dagster/row_count": len(lines),
            "difference of run": difference.run_id,
            "difference as of": dg.MetadataValue.timestamp(difference.as_of_at),
            "plans": dg.MetadataValue.md(plans_table(planned)),
            "held": len(held),
            **(
                {"waits because": dg.MetadataValue.md(_why(reasons)), "held by": dg.MetadataValue.md(guards_table)}
                if reasons
                else {}
            ),
            **(
                {
                    "to decide": dg.MetadataValue.md(
                        "\n".join(f"- `etalon plans show {plan.plan_id}`, then `approve` or `reject`" for plan in held)
                    )
                }
                if held
                else {}
            ),
            **({"first lines by value": dg.MetadataValue.md(lines_table(lines[:_SHOWN]))} if lines else {}),
        },
        check_results=[
            dg.AssetCheckResult(
                passed=not held,
                asset_key=key,
                check_name=NOT_HELD,
                severity=dg.AssetCheckSeverity.WARN,
                description="; ".join(f"{plan.plan_id} waits: {_guards_of(plan)}" for plan in held) or None,
            ),
            dg.AssetCheckResult(
                passed=not unseen,
                asset_key=key,
                check_name=OBSERVED,
                severity=dg.AssetCheckSeverity.WARN,
                description="; ".join(f"{subject}: {reason.what}" for _, subject, reason in unseen) or None,
            ),
        ],
    )


def _receipts(runtime: Runtime, channel: Channel) -> dg.AssetsDefinition:
    key, step = sync_key(channel.code, RECEIPTS), f"write_{channel.code.replace('-', '_')}"

    @dg.multi_asset(
        name=step,
        specs=[
            dg.AssetSpec(
                key,
                deps=[sync_key(channel.code, PLAN)],
                group_name=GROUP,
                description=f"What was written to **{channel.name}** (system {channel.system}), each value read back.",
                kinds={runtime.retailer.system(channel.system).kind},
                owners=[OWNER],
                tags={"etalon/system": channel.system},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                ALL_WRITTEN,
                asset=key,
                description="Everything that was sent was taken and kept. `etalon letters list` shows what was given up.",
            )
        ],
        pool=channel_pool(channel.code),
    )
    def receipts(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        connector = runtime.connectors[channel.system]
        if not isinstance(connector, WritingConnector):
            raise TypeError(f"the connector of {channel.system} does not write")
        operations, clock = runtime.operations, runtime.settings.clock()
        begun = operations.plans.begin_approved(channel.code, now=clock())
        waiting = len(operations.outbox.open_rows(target=channel.system))
        summary = apply_pending(
            connector,
            operations,
            clock=clock,
            worker=f"run {context.run.run_id}",
            run_id=context.run.run_id,
            report=lambda done: runtime.report(Progress(step, f"{channel.code}: {done} written", done, waiting)),
        )
        yield receipts_result(runtime, key, channel, summary, begun=list(begun))

    return receipts


def receipts_result(
    runtime: Runtime, key: dg.AssetKey, channel: Channel, summary: ApplySummary, *, begun: Sequence[str]
) -> dg.MaterializeResult[None]:
    """What one round of applying did, with the dead letters that are there now."""
    letters = runtime.operations.outbox.dead_letters(target=channel.system)
    waiting = runtime.operations.outbox.open_rows(target=channel.system)
    is_good = summary.is_good and not letters
    told = [f"{len(letters)} dead letters"] if letters else []
    told += [f"{quantity} {outcome.replace('_', ' ')}" for outcome, quantity in sorted(summary.outcomes.items())]
    return dg.MaterializeResult(
        asset_key=key,
        metadata={
            "dagster/row_count": summary.outcomes["applied"],
            "plans begun": dg.MetadataValue.json(list(begun)),
            "plans ended": dg.MetadataValue.json({plan.plan_id: plan.status for plan in summary.ended}),
            "answers": dg.MetadataValue.md(markdown_table(("outcome", "writes"), sorted(summary.outcomes.items()))),
            "waiting": len(waiting),
            "dead letters": len(letters),
            **({"stopped": summary.error} if summary.error else {}),
            **(
                {
                    "given up": dg.MetadataValue.md(
                        markdown_table(
                            ("letter", "item", "attribute", "wanted", "outcome", "the system's words"),
                            [
                                (
                                    row.outbox_id,
                                    row.external_id,
                                    row.attribute,
                                    shown(row.after),
                                    row.outcome,
                                    row.error,
                                )
                                for row in letters[:_SHOWN]
                            ],
                        )
                    )
                }
                if letters
                else {}
            ),
        },
        check_results=[
            dg.AssetCheckResult(
                passed=is_good,
                asset_key=key,
                check_name=ALL_WRITTEN,
                severity=dg.AssetCheckSeverity.ERROR,
                description=None if is_good else "; ".join([*([summary.error] if summary.error else []), *told]),
            )
        ],
    )


def plans_table(planned: Sequence[SubjectPlan]) -> str:
    """One row per subject: what became of it, and what is at risk."""
    rows = []
    for subject in planned:
        plan = subject.proposal.plan
        rows.append(
            (
                subject.subject,
                subject.proposal.result,
                plan.plan_id if plan else "",
                plan.status.replace("_", " ") if plan else "",
                len(subject.lines),
                sum(line.units_at_risk for line in subject.lines),
                _value_at_risk(subject.lines),
                ", ".join(f"{quantity} {reason}" for reason, quantity in sorted(subject.left_out.items())),
            )
        )
    return markdown_table(
        ("subject", "", "plan", "status", "lines", "units at risk", "value at risk", "left out"), rows
    )


def lines_table(lines: Sequence[PlanLine]) -> str:
    """Lines of a plan: what is there, what is wanted, why."""
    return markdown_table(
        ("item", "sku", "attribute", "before", "after", "why", "units", "value"),
        [
            (
                line.external_id,
                line.sku,
                line.attribute,
                shown(line.before),
                shown(line.after),
                line.reason,
                line.units_at_risk,
                _value_at_risk([line]),
            )
            for line in lines
        ],
    )


def _value_at_risk(lines: Sequence[PlanLine]) -> str:
    """The money of lines, by currency: a channel has one, most often."""
    sums: Counter[str] = Counter()
    for line in lines:
        sums[line.currency_code] += line.value_at_risk_minor
    return ", ".join(f"{major_text(minor, code)} {code}".strip() for code, minor in sorted(sums.items()))


def _why(reasons: Sequence[tuple[str, str, HeldReason]]) -> str:
    """A line per guard, short enough to be shown in the page itself."""
    lines = [
        f"- {subject}: {plain(f'{reason.what} {reason.measured}, limit {reason.limit}')}"
        for _, subject, reason in reasons
    ]
    return "\n".join(lines[:8])


def _guards_of(plan: Plan) -> str:
    return ", ".join(reason.what for reason in plan.held_reasons)


def _by_subject(rows: pl.DataFrame) -> str:
    counts = Counter(zip(rows["subject"].to_list(), rows["attribute"].to_list(), strict=True))
    return markdown_table(
        ("subject", "attribute", "lines"), [(*key, quantity) for key, quantity in sorted(counts.items())]
    )


def _facts_table(difference: Difference) -> str:
    return markdown_table(
        ("subject", "listings", "observed", "read at", "orders read at", "source as of", "failed streams"),
        [
            (
                fact.subject,
                fact.listings_qty,
                fact.observed_qty,
                fact.observation_read_at,
                fact.orders_read_at,
                fact.source_as_of_at,
                ", ".join(fact.failed_streams),
            )
            for fact in difference.facts.values()
        ],
    )
