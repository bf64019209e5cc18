"""`etalon files`: what became of every dropped file, which numbers never came, and accepting that one never will."""

from __future__ import annotations

from collections import Counter

import typer
from rich.markup import escape

from assets.runtime import Runtime
from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console, table
from resources.connectors.files import FilesConnector
from resources.connectors.sdk.stream import Stream
from resources.errors import ConfigurationError, Where
from resources.extract import seen_files

app = typer.Typer(help="Look at received files, and accept that one never comes.", no_args_is_help=True)

_TOLD = ("refused", "waiting", "lost")
_SHOWN_NUMBERS = 10


@app.command("list")
def list_(
    system: str = typer.Argument("", help="One system of files, by its code; all when left out.", metavar="[SYSTEM]"),
    feed: str = typer.Argument("", help="One of its feeds: then every file of it is shown.", metavar="[FEED]"),
) -> None:
    """List the files of each feed: how many were read, which were refused or wait and why, and which numbers never came.

    \b
    Examples:
      etalon files list
      etalon files list erp
      etalon files list erp erp_stock
    """
    runtime = open_runtime()
    counts = table("Files", "system", "feed", "accepted", "superseded", "duplicate", *_TOLD, "never came",
                   right=("accepted", "superseded", "duplicate", *_TOLD))  # fmt: skip
    listed = table("Every file" if feed else "Files that were not read", "system", "feed", "file", "outcome", "reason")
    for code, connector in _file_systems(runtime, system).items():
        streams = (_stream(code, connector, feed),) if feed else connector.streams()
        for stream in streams:
            receipts = runtime.operations.file_receipts(code, stream.name)
            by_outcome = Counter(receipt.outcome for receipt in receipts)
            missing = connector.missing_files(stream, seen=seen_files(runtime.operations, code, stream.name))
            counts.add_row(
                code,
                stream.name,
                *(str(by_outcome[outcome]) for outcome in ("accepted", "superseded", "duplicate", *_TOLD)),
                "; ".join(f"{scope} {_numbers(numbers)}" for scope, numbers in missing.items() if numbers),
            )
            for receipt in receipts:
                if feed or receipt.outcome in _TOLD:
                    listed.add_row(code, stream.name, escape(receipt.name), receipt.outcome, escape(receipt.reason))
    console.print(counts)
    if listed.row_count:
        console.print(listed)


@app.command()
def lost(
    system: str = typer.Argument(help="The system of files, by its code in retailer.yaml.", metavar="SYSTEM"),
    feed: str = typer.Argument(help="The feed whose file is missing.", metavar="FEED"),
    sequence: int = typer.Argument(help="The number in the missing file's name.", metavar="SEQUENCE", min=1),
    reason: str = typer.Option(..., help="Why it will never come, and who says so; kept beside it."),
    scope: str = typer.Option("", help="The store (or other scope) in its name, for a feed that has one."),
) -> None:
    """Accept that a file will never come: its gap no longer makes each reading of the feed incomplete. Should it come after
    all, it is read.

    \b
    Examples:
      etalon files lost erp erp_movements 42 --reason "disk failure on 3 May, says the ERP's team"
      etalon files lost pos pos_tickets 17 --scope S01 --reason "the till was replaced"
    """
    if not reason.strip():
        raise ConfigurationError("a reason is needed", where=Where(field="--reason"), action="say why it never comes")
    runtime = open_runtime()
    connector = _file_systems(runtime, system)[system]
    stream = _stream(system, connector, feed)
    missing = connector.missing_files(stream, seen=seen_files(runtime.operations, system, feed))
    # A feed without a scope has one sequence, of all its files.
    wanted = [name for name in missing if (name.endswith(f"_{scope}") if scope else len(missing) == 1)]
    where = Where(system_code=system, stream=feed, field="--scope" if not wanted else "SEQUENCE")
    if not wanted:
        raise ConfigurationError(
            f"no files are numbered {f'in the scope {scope}' if scope else 'without a scope'}",
            where=where,
            action=f"the sequences are {', '.join(missing) or 'none yet: no file ever came'}",
        )
    if sequence not in missing[wanted[0]]:
        raise ConfigurationError(
            f"number {sequence:06d} of {wanted[0]} is not missing",
            where=where,
            action=f"missing are: {_numbers(missing[wanted[0]]) or 'none'}",
        )
    runtime.operations.accept_missing_file(
        system, feed, sequence_scope=wanted[0], sequence=sequence, reason=reason.strip(), now=runtime.settings.clock()()
    )
    console.print(f"{wanted[0]} {sequence:06d} is accepted as lost; the next run no longer waits for it.", markup=False)


def _file_systems(runtime: Runtime, system: str) -> dict[str, FilesConnector]:
    """The connectors that read files, by system code; of one system when it is named."""
    codes = [runtime.retailer.system(system).code] if system else [item.code for item in runtime.retailer.systems]
    found = {code: connector for code in codes if isinstance(connector := runtime.connectors[code], FilesConnector)}
    if system and not found:
        raise ConfigurationError(
            f"{system} drops no files", where=Where(system_code=system), action="name a system of kind `files`"
        )
    return found


def _stream(system: str, connector: FilesConnector, feed: str) -> Stream:
    streams = {stream.name: stream for stream in connector.streams()}
    if feed not in streams:
        raise ConfigurationError(
            f"{system} has no feed {feed}", where=Where(system_code=system), action=f"use one of {', '.join(streams)}"
        )
    return streams[feed]


def _numbers(numbers: list[int]) -> str:
    more = f", … ({len(numbers)} in all)" if len(numbers) > _SHOWN_NUMBERS else ""
    return ", ".join(f"{number:06d}" for number in numbers[:_SHOWN_NUMBERS]) + more
