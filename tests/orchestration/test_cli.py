"""The command line: every command teaches itself, an expected error is told in three lines, the demo's settings are found."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from orchestration.cli import app
from orchestration.cli.environment import chosen_environment
from orchestration.cli.kpis import formatted
from orchestration.cli.run import show_summary
from orchestration.runs import FailedCheck, RunSummary, StepTime

EXPECTED = {
    "privacy erase",
    "backfill",
    "backup",
    "restore",
    "check",
    "demo",
    "exchanges list",
    "files list",
    "files lost",
    "hooks register",
    "incidents accept",
    "incidents list",
    "incidents mute",
    "incidents show",
    "keys new",
    "kpis",
    "letters drop",
    "letters list",
    "letters replay",
    "letters show",
    "orders list",
    "orders resend",
    "orders send",
    "orders show",
    "plans approve",
    "plans list",
    "plans reject",
    "plans revert",
    "plans show",
    "prune",
    "quarantine list",
    "quarantine replay",
    "quarantine show",
    "run",
    "sync",
    "systems",
    "ui",
    "up",
    "worker",
}


def leaves(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its full name. Typer brings its own copy of click's classes."""
    if hasattr(command, "commands"):
        for name, child in command.commands.items():
            yield from leaves(child, f"{path} {name}".strip())
    else:
        yield path, command


COMMANDS = dict(leaves(typer.main.get_command(app)))


def invoke(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return result.output


def test_the_commands_are_those_we_promise() -> None:
    assert set(COMMANDS) == EXPECTED


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_every_command_says_what_it_does_and_shows_an_example(name: str) -> None:
    command = COMMANDS[name]
    assert command.help
    assert f"etalon {name}" in command.help, "no example"
    for parameter in command.params:
        if parameter.param_type_name == "option" and parameter.name != "help":
            assert parameter.help, f"--{parameter.name} has no help"
    output = invoke(*name.split(), "--help")
    first_words = " ".join(command.help.split()[:4])
    assert first_words in " ".join(output.split())


def test_the_introduction_names_every_command() -> None:
    """Of a group, one of its commands: its own help has the others."""
    text = invoke("--help")
    for name in EXPECTED:
        assert f"etalon {name.partition(' ')[0]}" in text


def test_a_new_key_is_alone_on_standard_output() -> None:
    result = CliRunner().invoke(app, ["keys", "new"])
    assert re.fullmatch(r"[0-9a-f]{64}\n", result.stdout)


def test_the_demos_settings_are_taken_only_where_there_are_none(tmp_path: Path) -> None:
    assert "ETALON_ENV_FILE" not in chosen_environment({}, tmp_path)
    env_file = tmp_path / "data/demo/demo.env"
    env_file.parent.mkdir(parents=True)
    env_file.write_text("ETALON_NOW=2026-05-18T10:00:00Z\n")
    assert chosen_environment({}, tmp_path)["ETALON_ENV_FILE"] == str(env_file)
    assert "ETALON_ENV_FILE" not in chosen_environment({"ETALON_SECRET_KEY": "x"}, tmp_path)
    (tmp_path / ".env").write_text("")
    assert "ETALON_ENV_FILE" not in chosen_environment({}, tmp_path)


def test_values_are_shown_in_the_words_of_their_unit() -> None:
    assert formatted(0.98765, "ratio") == "98.77%"
    assert formatted(None, "ratio") == "–"
    assert formatted(5400, "seconds") == "1.5 h"
    assert formatted(123456, "minor") == "1,234.56"
    assert formatted(123456, "minor", "JPY") == "123,456"
    assert formatted(123456, "minor", "KWD") == "123.456"
    assert formatted(50, "basis_points") == "0.50 %"
    assert formatted(1234, "units") == "1,234"


def test_a_summary_tells_errors_apart_from_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    summary = RunSummary(
        run_id="0123456789",
        job="nightly_full",
        is_finished=True,
        steps=(StepTime("read_erp", 1.25, True),),
        checks_qty=3,
        failed_checks=(
            FailedCheck("canonical/order", "contract", False, False, "2 rows refused"),
            FailedCheck("erp/stock", "complete", True, False, "announced 10, landed 9 [raw]"),
        ),
        errors={},
        materialized=("erp/stock",),
    )
    assert not summary.is_good
    show_summary(summary)
    text = capsys.readouterr().out
    assert "1 errors, 1 warnings" in text
    assert text.index("erp/stock") < text.index("canonical/order"), "errors come first"
    assert "[raw]" in text, "what a source says is no markup"
