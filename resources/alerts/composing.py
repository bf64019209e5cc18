"""The text of a message: what changed, where it lies, what it touches, what to do. No value of a row, no secret."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from resources.operations.alerts import Message
from resources.operations.incidents import Change, Incident

FORMAT_VERSION = 1
LONGEST_SUBJECT = 150
FULLY_TOLD = 20
"""Changes told in full in one message; the others are counted."""

_WORDS = {"opened": "Opened", "worsened": "Worse", "closed": "Over", "reminder": "Still there"}


def compose(retailer_name: str, changes: Sequence[Change]) -> Message:
    """One message about some changes, oldest first; ``retailer_name`` leads its subject."""
    if len(changes) == 1:
        [change] = changes
        told = f"{_WORDS[change.change]}: {change.incident.kind} {change.incident.origin}"
    else:
        counts = Counter(change.change for change in changes)
        told = ", ".join(f"{quantity} {_WORDS[kind].lower()}" for kind, quantity in sorted(counts.items()))
    parts = [_told(change) for change in changes[:FULLY_TOLD]]
    if len(changes) > FULLY_TOLD:
        parts.append(f"… and {len(changes) - FULLY_TOLD} more changes: `etalon incidents list`")
    return Message(
        subject=" ".join(f"[Étalon {retailer_name}] {told}".split())[:LONGEST_SUBJECT],
        text="\n\n".join(parts)
        + "\n\n-- \nAll of them: `etalon incidents`, or the asset operations/incidents in the UI.\n",
        payload={
            "version": FORMAT_VERSION,
            "retailer": retailer_name,
            "changes": [
                {"change": change.change, "at": _instant(change.at), "incident": as_json(change.incident)}
                for change in changes
            ],
        },
    )


def as_json(incident: Incident) -> dict[str, Any]:
    """An incident for programs; docs/incidents.md explains each key."""
    return {
        "id": incident.incident_id,
        "kind": incident.kind,
        "severity": incident.severity,
        "status": incident.status,
        "system_code": incident.system_code,
        "stream": incident.stream,
        "channel_code": incident.channel_code,
        "file": incident.file,
        "line": incident.line,
        "request_id": incident.request_id,
        "what": incident.what,
        "action": incident.action,
        "since_at": _instant(incident.since_at),
        "opened_at": _instant(incident.opened_at),
        "closed_at": _instant(incident.closed_at) if incident.closed_at else None,
        "occurrences_qty": incident.occurrences_qty,
        "reopened_qty": incident.reopened_qty,
        "touches": {name: list(values) for name, values in asdict(incident.impact).items()},
        "evidence": dict(incident.evidence),
    }


def _told(change: Change) -> str:
    incident = change.incident
    lines = [
        f"{_WORDS[change.change]}: {incident.kind} (incident {incident.incident_id}, {incident.severity})",
        f"  where:   {incident.origin}",
        f"  what:    {incident.what}",
        f"  since:   {incident.since_at:%Y-%m-%d %H:%M} UTC"
        + (f", {incident.occurrences_qty} times" if incident.occurrences_qty > 1 else ""),
    ]
    if change.change == "closed" and incident.closed_at:
        lines.append(f"  over:    {incident.closed_at:%Y-%m-%d %H:%M} UTC")
    else:
        lines.append(f"  touches: {incident.impact}" if str(incident.impact) else "  touches: nothing downstream")
        lines.append(f"  to do:   {incident.action}")
    return "\n".join(lines)


def _instant(value: datetime) -> str:
    return value.isoformat().replace("+00:00", "Z")
