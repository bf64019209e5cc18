"""Which machine a command works on: the settings of the environment, or those that the demo left.

Belongs here: choosing. Reading the variables themselves is `resources.settings`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from assets.progress import Reporter, quiet
from assets.runtime import Runtime, build_runtime
from orchestration.cli.terminal import errors
from resources.settings import Settings

ENV_FILE = "ETALON_ENV_FILE"
DEMO_ENV_FILE = Path("data/demo/demo.env")
_OWN_SETTINGS = ("ETALON_ENV_FILE", "ETALON_DATA_DIR", "ETALON_SECRET_KEY", "ETALON_RETAILER")


def chosen_environment(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """``environ``, pointed at the demo's file when neither it nor a .env in ``root`` says anything of a retailer of one's own."""
    chosen = dict(environ)
    has_own = any(name in environ for name in _OWN_SETTINGS) or (root / ".env").is_file()
    if not has_own and (root / DEMO_ENV_FILE).is_file():
        chosen[ENV_FILE] = str(root / DEMO_ENV_FILE)
    return chosen


def open_settings() -> Settings:
    """The settings of this machine; says so when they are the demo's."""
    root = Path.cwd()
    chosen = chosen_environment(os.environ, root)
    if ENV_FILE in chosen and ENV_FILE not in os.environ:
        errors.print(f"[dim]Settings of the demo ({DEMO_ENV_FILE}); write a .env for a retailer of your own.[/]")
    return Settings.from_environment(chosen, root)


def open_runtime(report: Reporter = quiet) -> Runtime:
    """The retailer of this machine, ready to be read, built and shown. Opens nothing yet."""
    return build_runtime(open_settings(), report=report)
