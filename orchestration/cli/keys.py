"""`etalon keys`: the secret that personal data depends on."""

from __future__ import annotations

import secrets

import typer

from orchestration.cli.terminal import errors

app = typer.Typer(help="Make the secret that personal data is tokenised and sealed with.", no_args_is_help=True)


@app.callback()
def _group() -> None:
    """Make the secret that personal data is tokenised and sealed with."""
    # A group of one command would be flattened without a callback.


@app.command()
def new() -> None:
    """Print a new secret key, 32 random bytes in hex, and nothing else on standard output.

    \b
    Example:
      echo "ETALON_SECRET_KEY=$(etalon keys new)" >> .env

    Keep it for ever and outside the project: with another key, the same e-mail gets another token and sealed values
    cannot be opened.
    """
    typer.echo(secrets.token_hex(32))
    errors.print("[dim]Keep it in a vault: what it sealed cannot be opened without it.[/]")
