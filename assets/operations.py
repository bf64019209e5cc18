"""Assets of operations: the incidents, and the exchanges with systems; and the look around that both the assets and others take.

Belongs here: showing them as metadata. What an incident is, is `resources.incidents`.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import dagster as dg

from assets.names import OPERATIONS, operations_key
from assets.progress import Progress
from assets.runtime import Runtime
from assets.sql_models import markdown_table, plain
from resources.alerts import Delivered, deliver, senders
from resources.incidents import refresh_incidents
from resources.incidents.texts import shortened
from resources.operations import ExchangeEntry
from resources.operations.incidents import ImpactOf, Incident, Refreshed
from resources.operations.watching import ExchangeTotal

LAST_PRIORITY = "-1000"
"""Steps of a run are taken by priority: these depend on nothing, so they run when all that could run has run, whatever failed."""

SHOWN_EXCHANGES, SHOWN_CLOSED = 50, 8
SHOWN_IN_PAGE = 800
"""Characters of Markdown: the UI puts texts of a thousand and more behind a link."""
TOTALS_OF = timedelta(days=1)
OWNER = "team:operations"


@dataclass(frozen=True)
class Look:
    """What one look around found, and what was told."""

    refreshed: Refreshed
    delivered: Delivered


def look_around(runtime: Runtime, impact: ImpactOf, *, at_most_every: timedelta = timedelta(0)) -> Look:
    """Make the incidents say what is wrong now, and tell people what changed."""
    clock = runtime.settings.clock()
    refreshed = refresh_incidents(
        runtime.operations,
        runtime.retailer,
        streams={code: connector.streams() for code, connector in runtime.connectors.items()},
        impact=impact,
        now=clock(),
        at_most_every=at_most_every,
    )
    delivered = deliver(
        runtime.operations,
        senders(runtime.settings),
        retailer_name=runtime.retailer.identity.code,
        per_hour=runtime.retailer.incidents.alerts_per_hour,
        clock=clock,
    )
    return Look(refreshed, delivered)


def operations_assets(runtime: Runtime, impact: ImpactOf) -> list[dg.AssetsDefinition]:
    """`operations/incidents` and `operations/exchanges`, at the end of each run of the main job, also of one that failed."""

    @dg.multi_asset(
        name="watch_operations",
        specs=[
            dg.AssetSpec(
                operations_key("incidents"),
                group_name=OPERATIONS,
                description="What is wrong now: where it lies, since when, what it touches downstream, what to do. Also kept up to date "
                "between runs: `etalon incidents`.",
                kinds={"incidents"},
                owners=[OWNER],
            ),
            dg.AssetSpec(
                operations_key("exchanges"),
                group_name=OPERATIONS,
                description="What crossed between Étalon and each system: totals of the last day, and the last exchanges. "
                "`etalon exchanges list`.",
                kinds={"journal"},
                owners=[OWNER],
            ),
        ],
        can_subset=True,
        op_tags={"dagster/priority": LAST_PRIORITY},
        description="Look at how things stand: incidents and exchanges.",
    )
    def watch_operations(context: dg.AssetExecutionContext) -> Iterator[dg.MaterializeResult[None]]:
        runtime.report(Progress("watch_operations", "", 0, 1))
        if operations_key("incidents") in context.selected_asset_keys:
            look = look_around(runtime, impact)
            yield dg.MaterializeResult(asset_key=operations_key("incidents"), metadata=incident_metadata(runtime, look))
        if operations_key("exchanges") in context.selected_asset_keys:
            yield dg.MaterializeResult(asset_key=operations_key("exchanges"), metadata=exchange_metadata(runtime))

    return [watch_operations]


def incident_metadata(runtime: Runtime, look: Look) -> dict[str, dg.MetadataValue]:
    """The open incidents, the last that ended, and how many of each severity."""
    found = runtime.operations.incidents.find(status="open")
    ended = [one for one in runtime.operations.incidents.find(limit=200) if one.status != "open"][:SHOWN_CLOSED]
    return {
        "open": dg.MetadataValue.int(len(found)),
        "errors": dg.MetadataValue.int(sum(one.severity == "error" for one in found)),
        "warnings": dg.MetadataValue.int(sum(one.severity == "warning" for one in found)),
        "what is wrong": dg.MetadataValue.md(at_a_glance(found)),
        "in full": dg.MetadataValue.md(incident_table(found)),
        "touched": dg.MetadataValue.md(
            markdown_table(
                ("incident", "touches"), [(one.incident_id, str(one.impact) or "nothing downstream") for one in found]
            )
        ),
        "ended last": dg.MetadataValue.md(
            "\n".join(
                f"- **{one.incident_id}** {plain(shortened(f'{one.kind} {one.place}', 70))}, {one.status} {_minute(one.closed_at)}"
                for one in ended
            )
            or "none yet"
        ),
        "opened, worse, over": dg.MetadataValue.text(
            f"{len(look.refreshed.opened)}, {len(look.refreshed.worsened)}, {len(look.refreshed.closed)}"
        ),
        "messages sent": dg.MetadataValue.int(look.delivered.sent),
    }


def at_a_glance(incidents: Sequence[Incident]) -> str:
    """A line per incident, errors first, short enough to be shown in the page itself: longer texts wait behind a link."""
    lines: list[str] = []
    for one in sorted(incidents, key=lambda one: (one.severity != "error", -one.incident_id)):
        line = f"- **{one.incident_id}** {one.severity}, {_minute(one.since_at)}: " + plain(
            shortened(f"{one.kind} {one.origin}", 110)
        )
        if sum(map(len, lines)) + len(line) > SHOWN_IN_PAGE:
            lines.append(f"- and {len(incidents) - len(lines)} more")
            break
        lines.append(line)
    return "\n".join(lines) or "Nothing is wrong."


def incident_table(incidents: Sequence[Incident]) -> str:
    """Incidents as a Markdown table."""
    return markdown_table(
        ("incident", "severity", "kind", "where", "since (UTC)", "what", "what to do", "times"),
        [
            (
                one.incident_id,
                one.severity,
                one.kind,
                one.origin,
                _minute(one.since_at),
                one.what,
                one.action,
                one.occurrences_qty,
            )
            for one in incidents
        ],
    )


def exchange_metadata(runtime: Runtime) -> dict[str, dg.MetadataValue]:
    """Totals per system of the last day, and the last exchanges."""
    since_at = runtime.settings.clock()() - TOTALS_OF
    totals = runtime.operations.watching.totals(since_at=since_at)
    last = runtime.operations.watching.journal(since_at=since_at, limit=SHOWN_EXCHANGES)
    return {
        "exchanges": dg.MetadataValue.int(sum(total.exchanges_qty for total in totals)),
        "failed": dg.MetadataValue.int(sum(total.failed_qty for total in totals)),
        "last day, by system": dg.MetadataValue.md(totals_table(totals)),
        "last ones": dg.MetadataValue.md(exchange_table(last[::-1])),
    }


def totals_table(totals: Sequence[ExchangeTotal]) -> str:
    """Totals as a Markdown table."""
    return markdown_table(
        ("system", "direction", "kind", "exchanges", "failed", "rows", "bytes", "seconds", "last (UTC)"),
        [
            (
                total.system_code,
                total.direction,
                total.kind,
                total.exchanges_qty,
                total.failed_qty,
                total.rows_qty,
                total.bytes,
                f"{total.duration_s:.1f}",
                _minute(total.last_at),
            )
            for total in totals
        ],
    )


def exchange_table(entries: Sequence[ExchangeEntry]) -> str:
    """Lines of the journal as a Markdown table."""
    return markdown_table(
        (
            "at (UTC)",
            "system",
            "stream or target",
            "direction",
            "kind",
            "outcome",
            "rows",
            "bytes",
            "seconds",
            "request",
            "detail",
        ),
        [
            (
                _minute(entry.at),
                entry.system_code,
                entry.stream,
                entry.direction,
                entry.kind,
                entry.outcome or ("ok" if entry.is_ok else "failed"),
                entry.rows_qty,
                entry.bytes,
                None if entry.duration_s is None else f"{entry.duration_s:.2f}",
                entry.request_id,
                entry.detail[:200],
            )
            for entry in entries
        ],
    )


def _minute(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"
