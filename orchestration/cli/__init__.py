"""The `etalon` command line: one file per command, all of them thin over resources, assets and orchestration."""

from orchestration.cli.app import app, main

__all__ = ["app", "main"]
