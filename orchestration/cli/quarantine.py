"""`etalon quarantine`: rows that were refused, why, and their second chance."""

from __future__ import annotations

import typer
from rich.markup import escape

from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console, table
from resources import quarantine

app = typer.Typer(help="Look at refused rows and give them a second chance.", no_args_is_help=True)
