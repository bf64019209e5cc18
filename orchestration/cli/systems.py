"""`etalon systems`: what each system lets us see, what it hides, and what could be written."""

from __future__ import annotations

import typer
from rich.markup import escape

from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console, table

_CHANGES = {"updated_at": "cursor", "full_snapshot": "full reading", "files": "files"}


def systems(
    system: str = typer.Argument(
        "", help="One system, by its code in retailer.yaml; all when left out.", metavar="[SYSTEM]"
    ),
) -> None:
    """List the streams of each system: how changes and deletes show, by what one period is read, and blind spots. Connects to nothing.

    \b
    Examples:
      etalon systems
      etalon systems shop_fr
    """
    runtime = open_runtime()
    codes = [runtime.retailer.system(system).code] if system else [item.code for item in runtime.retailer.systems]
    streams = table("Streams", "system", "stream", "feeds", "changes show by", "periods by", "deletes", "personal")
    blind = table("What cannot be seen", "stream", "blind spot")
    writes = table("What could be written", "system", "entity", "attribute", "refuses outdated writes", "note")
    for code in codes:
        connector = runtime.connectors[code]
        for stream in connector.streams():
            streams.add_row(
                code,
                stream.name,
                ", ".join(stream.entities),
                _CHANGES[stream.change_tracking] + (f" ({stream.cursor_field})" if stream.cursor_field else ""),
                stream.period_field or "",
                "yes" if stream.shows_deletes else "no",
                "yes" if stream.has_personal_data else "no",
            )
            for spot in stream.blind_spots:
                blind.add_row(f"{code}.{stream.name}", escape(spot))
        for write in connector.writes():
            writes.add_row(
                code, write.entity, write.attribute, "yes" if write.can_compare_and_set else "no", escape(write.note)
            )
    for shown in (streams, blind, writes):
        if shown.row_count:
            console.print(shown)
