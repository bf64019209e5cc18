"""Which machine a command works on: the settings of the environment, or those that the demo left.

Belongs here: choosing. Reading the variables themselves is `resources.settings`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import sqlalchemy as sa

from assets.progress import Reporter, quiet
from assets.runtime import Runtime, build_runtime
from orchestration.cli.terminal import errors
from orchestration.service.lock import is_running
from resources.errors import PermanentError, Where
from resources.settings import SERVICE_FOLDER, Settings, sqlalchemy_postgres_url

ENV_FILE = "ETALON_ENV_FILE"
DEMO_ENV_FILE = Path("data/demo/demo.env")
SANDBOX_FOLDER = Path("data/up")
"""Where `etalon up --sandbox` keeps everything. While it runs, the other commands work on it."""
_OWN_SETTINGS = ("ETALON_ENV_FILE", "ETALON_DATA_DIR", "ETALON_SECRET_KEY", "ETALON_RETAILER")


def chosen_environment(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """``environ``, pointed at a sandbox when neither it nor a .env in ``root`` says anything of a retailer of one's own.

    That of a running `etalon up --sandbox` comes before the demo's.
    """
    chosen = dict(environ)
    if has_own_settings(environ, root):
        return chosen
    living = root / SANDBOX_FOLDER
    if is_running(living / SERVICE_FOLDER) and (living / DEMO_ENV_FILE.name).is_file():
        chosen[ENV_FILE] = str(living / DEMO_ENV_FILE.name)
    elif (root / DEMO_ENV_FILE).is_file():
        chosen[ENV_FILE] = str(root / DEMO_ENV_FILE)
    return chosen


def has_own_settings(environ: Mapping[str, str], root: Path) -> bool:
    """Whether somebody has set up a retailer of their own."""
    return any(name in environ for name in _OWN_SETTINGS) or (root / ".env").is_file()


def open_settings(*, connect: bool = True) -> Settings:
    """The settings of this machine; says so when they are a sandbox's.

    ``connect``: also make sure that its PostgreSQL, when it has one, answers. Raises PermanentError when it does not.
    """
    root = Path.cwd()
    chosen = chosen_environment(os.environ, root)
    if ENV_FILE in chosen and ENV_FILE not in os.environ:
        env_file = Path(chosen[ENV_FILE]).relative_to(root)
        errors.print(f"[dim]Settings of a sandbox ({env_file}); write a .env for a retailer of your own.[/]")
    settings = Settings.from_environment(chosen, root)
    if connect and settings.postgres_url is not None:
        _must_answer(settings)
    return settings


def _must_answer(settings: Settings) -> None:
    """A database that is not there would otherwise be told by a long trace, minutes later."""
    url = sqlalchemy_postgres_url(str(settings.postgres_url))
    engine = sa.create_engine(url, connect_args={"connect_timeout": 5})
    try:
        engine.connect().close()
    except sa.exc.OperationalError as error:
        is_given = bool(settings.variables.get("ETALON_POSTGRES_URL"))
        raise PermanentError(
            "the database does not answer",
            where=Where(field="ETALON_POSTGRES_URL") if is_given else Where(file=str(settings.postgres_dir)),
            action="start it, or mend its address"
            if is_given
            else "this data folder belongs to the service: start it with `etalon up`",
        ) from error
    finally:
        engine.dispose()


def open_runtime(report: Reporter = quiet) -> Runtime:
    """The retailer of this machine, ready to be read, built and shown. Opens nothing yet."""
    return build_runtime(open_settings(), report=report)
