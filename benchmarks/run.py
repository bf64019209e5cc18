"""Runs the benchmarks of ``suite.py`` one after another and gathers their figures in one JSON file."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.harness import ENVIRONMENTS
from benchmarks.machine import machine
from benchmarks.results import table_of
from benchmarks.suite import SUITE, Entry

OUT = Path("data/benchmarks.json")


def chosen(suite: Sequence[Entry], names: Sequence[str]) -> list[Entry]:
    """The entries of these names, all when there is none. Raises ValueError for a name that is not in the suite."""
    known = [entry.name for entry in suite]
    unknown = sorted(set(names) - set(known))
    if unknown:
        raise ValueError(f"no such benchmark: {', '.join(unknown)}; there are {', '.join(known)}")
    return [entry for entry in suite if not names or entry.name in names]


def merged(kept: Mapping[str, Any] | None, measured: Mapping[str, Any], *, command: str) -> dict[str, Any]:
    """The file's document with newly measured lines: each replaces the one of its name and size.

    Every line keeps its own date, versions and command. The figures kept are of this machine: :func:`must_be_of`.
    """
    lines = {(line["name"], line["size"]): line for line in (kept["lines"] if kept else ())}
    for line in measured["lines"]:
        lines[line["name"], line["size"]] = {
            **line,
            "measured_at": measured["measured_at"],
            "versions": measured["versions"],
            "command": command,
        }
    return {"machine": measured["machine"], "lines": list(lines.values())}


def must_be_of(out: Path, here: Mapping[str, str]) -> None:
    """Raises ValueError when the file holds another machine's figures: what two machines spend is not compared."""
    if out.exists() and (kept := json.loads(out.read_text(encoding="utf-8"))["machine"]) != here:
        told = ", ".join(kept.values())
        raise ValueError(f"{out} holds figures of another machine ({told}): give another --out or remove it")


def run_all(commands: Iterable[tuple[str, list[str]]], out: Path) -> list[str]:
    """Run each (words for it, command); what it measured is in ``out`` at once. Gives the words of those that failed."""
    failed = []
    for words, command in commands:
        now = datetime.now(tz=UTC)
        sys.stderr.write(f"{now:%H:%M:%S} {words}\n")
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if done.returncode != 0:
            failed.append(words)
            continue
        measured = json.loads(done.stdout)
        kept = json.loads(out.read_text(encoding="utf-8")) if out.exists() else None
        document = merged(kept, measured, command=words)
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        sys.stdout.write(table_of(measured["lines"]) + "\n")
        sys.stdout.flush()
    return failed


def main() -> None:
    """Run it from the command line."""
    parser = ArgumentParser(description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--small", action="store_true", help="small sizes, a few minutes in all (the default)")
    size.add_argument("--full", action="store_true", help="the sizes that the goals speak of")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="one benchmark; may be repeated")
    parser.add_argument("--out", type=Path, default=OUT, help=f"the JSON file, added to (default {OUT})")
    parser.add_argument("--no-baselines", action="store_true", help="ours alone; needs no other environment")
    parser.add_argument("--environments", type=Path, default=ENVIRONMENTS, help="where the baselines' environments are")
    arguments = parser.parse_args()
    try:
        entries = chosen(SUITE, arguments.only)
        must_be_of(arguments.out, machine())
    except ValueError as error:
        parser.error(str(error))
    shared = ["--json", "--environments", str(arguments.environments)]
    if arguments.no_baselines:
        shared.append("--no-baselines")
    commands = [
        (f"python -m benchmarks.{entry.name} {given}".rstrip(), _command(entry.name, given, shared))
        for entry in entries
        for given in (entry.full if arguments.full else entry.small)
    ]
    if failed := run_all(commands, arguments.out):
        sys.exit("\n".join(["these failed, what they said is above:", *failed]))


def _command(name: str, given: str, shared: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", f"benchmarks.{name}", *shlex.split(given), *shared]


if __name__ == "__main__":
    main()
