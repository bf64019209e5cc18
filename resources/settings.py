"""The only reader of the environment: where things are, which clock runs, which secrets open what.

What describes the retailer is in retailer.yaml, not here; here is what differs from one machine to the next.
docs/retailer.md lists every variable.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from resources.errors import ConfigurationError, Where

MINIMUM_KEY_BYTES = 32
IN_FILE = "_FILE"
"""Ends the name of a variable that names the file of a value."""
REPORT_URL = "ETALON_REPORT_URL"
SERVICE = "ETALON_SERVICE"
"""Set to 1 by `etalon up` for what it starts."""
SERVICE_FOLDER = "service"
OPERATIONS_FILE = "operations.sqlite"
"""The operations store of a data folder that has no PostgreSQL."""
DUCKDB, SPARK = ENGINES = ("duckdb", "spark")
"""What can build the SQL models: the warehouse itself, or a Spark Connect endpoint (docs/scale.md)."""
DEFAULT_REPORT_URL = "http://127.0.0.1:3001"
"""Where `etalon ui` serves the published folder when nothing else is asked for."""


@dataclass(frozen=True)
class Settings:
    """One machine's settings. Instants are aware; paths are absolute; secrets never show in ``repr``.

    ``now``: a fixed clock for a replay or a demo; None is the real one. Code takes :meth:`clock`.
    ``variables``: what ``${NAME}`` in retailer.yaml may stand for. ``is_service``: schedules and sensors start running.
    ``access_log``: the proxy's, from which refused logins are journalled. ``keep_…_days``: ages at which housekeeping removes runs
    with their events, raw payloads with loaded files, and settled rows of the operations store. ``alert_…``: where alerts go; nowhere
    by default. ``engine``: what builds the SQL models, one of ENGINES; ``spark_remote``: its address; ``spark_folder``: the folder of
    Parquet files that its workers see too, which they may call ``spark_folder_there``; ``spark_stay``: models that do not come back.
    """

    root: Path
    retailer_path: Path
    sql_dir: Path
    data_dir: Path
    now: datetime | None = None
    postgres_url: str | None = field(default=None, repr=False)
    operations_url: str = field(default="", repr=False)
    secret_key_text: str | None = field(default=None, repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    memory_limit: str = "2GB"
    threads: int = 2
    engine: str = DUCKDB
    spark_remote: str = field(default="", repr=False)
    spark_folder: Path = Path()
    spark_folder_there: str = ""
    spark_stay: tuple[str, ...] = ()
    report_url: str = DEFAULT_REPORT_URL
    is_service: bool = False
    access_log: Path | None = None
    keep_runs_days: int = 30
    keep_raw_days: int = 90
    keep_operations_days: int = 180
    alert_smtp_url: str | None = field(default=None, repr=False)
    alert_from: str = ""
    alert_to: tuple[str, ...] = ()
    alert_webhook_url: str | None = field(default=None, repr=False)
    alert_webhook_secret: str | None = field(default=None, repr=False)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], root: Path) -> Settings:
        """Read the settings of a project that lies in ``root``.

        ``environ`` wins over the file that ETALON_ENV_FILE names (default ``<root>/.env``; lines NAME=value). Any variable
        may stand in a file of its own instead, which the same name with `_FILE` names: where vaults and containers put secrets.
        Raises ConfigurationError, naming the variable, when a value cannot be understood.
        """
        root = root.resolve()
        env_file = _path(environ.get("ETALON_ENV_FILE"), root, ".env")
        values = _with_secret_files(
            {**_read_env_file(env_file, is_required="ETALON_ENV_FILE" in environ), **environ}, root
        )
        data_dir = _path(values.get("ETALON_DATA_DIR"), root, "data")
        postgres_url = values.get("ETALON_POSTGRES_URL") or _private_postgres(data_dir)
        if postgres_url and not urlsplit(postgres_url).scheme.startswith("postgres"):
            raise _mistake("ETALON_POSTGRES_URL", "an address like postgresql://user:password@host:5432/database")
        default_operations_url = (
            sqlalchemy_postgres_url(postgres_url) if postgres_url else f"sqlite:///{data_dir / OPERATIONS_FILE}"
        )
        return cls(
            root=root,
            retailer_path=_path(values.get("ETALON_RETAILER"), root, "retailer.yaml"),
            sql_dir=_path(values.get("ETALON_SQL_DIR"), root, "dbt_like_sql"),
            data_dir=data_dir,
            now=_instant(values, "ETALON_NOW"),
            postgres_url=postgres_url,
            operations_url=values.get("ETALON_OPERATIONS_URL") or default_operations_url,
            secret_key_text=values.get("ETALON_SECRET_KEY") or None,
            variables=values,
            memory_limit=values.get("ETALON_MEMORY_LIMIT") or "2GB",
            threads=_whole_number(values, "ETALON_THREADS", 2),
            **_engine_settings(values, root, data_dir),
            report_url=_web_address(values, REPORT_URL, DEFAULT_REPORT_URL),
            is_service=values.get(SERVICE) == "1",
            access_log=_path(values["ETALON_ACCESS_LOG"], root, "") if values.get("ETALON_ACCESS_LOG") else None,
            keep_runs_days=_whole_number(values, "ETALON_KEEP_RUNS_DAYS", 30),
            keep_raw_days=_whole_number(values, "ETALON_KEEP_RAW_DAYS", 90),
            keep_operations_days=_whole_number(values, "ETALON_KEEP_OPERATIONS_DAYS", 180),
            **_alert_settings(values),
        )

    def clock(self) -> Callable[[], datetime]:
        """The clock that code is given: the fixed instant ``now``, or the real time in UTC."""
        fixed = self.now
        return (lambda: datetime.now(UTC)) if fixed is None else (lambda: fixed)

    @property
    def secret_key(self) -> bytes:
        """The key that tokens and encryption derive from, at least 32 bytes. Raises ConfigurationError without one."""
        if self.secret_key_text is None:
            raise ConfigurationError(
                "ETALON_SECRET_KEY is not set, so personal values can be neither tokenised nor encrypted",
                where=Where(field="ETALON_SECRET_KEY"),
                action="keep one for ever, outside the project: "
                "python -c 'import secrets; print(secrets.token_hex(32))'",
            )
        key = _decode_key(self.secret_key_text)
        if len(key) < MINIMUM_KEY_BYTES:
            raise _mistake("ETALON_SECRET_KEY", f"at least {MINIMUM_KEY_BYTES} bytes (64 hex digits), got {len(key)}")
        return key

    def with_engine(self, engine: str | None, remote: str | None) -> Settings:
        """The same machine with models built elsewhere; None leaves what it is. Raises ConfigurationError as from the environment."""
        values = {
            **self.variables,
            **({"ETALON_ENGINE": engine} if engine else {}),
            **({"ETALON_SPARK_REMOTE": remote} if remote else {}),
        }
        changed = replace(self, **_engine_settings(values, self.root, self.data_dir))
        if remote and changed.engine != SPARK:
            raise ConfigurationError(
                f"an address of a Spark Connect endpoint, and the engine is {changed.engine}",
                where=Where(field="--remote"),
                action="add --engine spark",
            )
        return changed

    @property
    def canonical_dir(self) -> Path:
        """Canonical rows that passed their contract, as Parquet."""
        return self.data_dir / "canonical"

    @property
    def warehouse_path(self) -> Path:
        """The warehouse: canonical tables with their row versions."""
        return self.data_dir / "warehouse.duckdb"

    @property
    def mart_path(self) -> Path:
        """What the SQL models build."""
        return self.data_dir / "mart.duckdb"

    @property
    def lock_path(self) -> Path:
        """The lock that makes DuckDB's writer the only one."""
        return self.data_dir / "writer.lock"

    @property
    def published_dir(self) -> Path:
        """What analysts open."""
        return self.data_dir / "published"

    @property
    def bi_path(self) -> Path:
        """The published database."""
        return self.published_dir / "bi.duckdb"

    @property
    def report_path(self) -> Path:
        """The published report page."""
        return self.published_dir / "report.html"

    @property
    def channels_dir(self) -> Path:
        """What the main job leaves for those that write to channels and systems and never open the warehouse."""
        return self.data_dir / "channels"

    @property
    def pii_path(self) -> Path:
        """Personal values, encrypted."""
        return self.data_dir / "pii.sqlite"

    @property
    def postgres_dir(self) -> Path:
        """The private PostgreSQL of `etalon up`, when it is given none."""
        return private_postgres_dir(self.data_dir)

    @property
    def service_dir(self) -> Path:
        """What `etalon up` keeps about its processes: state, lock, sockets."""
        return self.data_dir / SERVICE_FOLDER

    @property
    def log_dir(self) -> Path:
        """One log per process of `etalon up`."""
        return self.data_dir / "logs"

    @property
    def dagster_dir(self) -> Path:
        """Dagster's own storage, when it is on SQLite."""
        return self.data_dir / "dagster"


def private_postgres_dir(data_dir: Path) -> Path:
    """Where the private PostgreSQL of a data folder is."""
    return data_dir / "postgres"


def _private_postgres(data_dir: Path) -> str | None:
    """The address of the data folder's own PostgreSQL, once `etalon up` has made it: its cursors and receipts are there, nowhere else."""
    path = private_postgres_dir(data_dir) / "url"
    return path.read_text(encoding="utf-8").strip() if path.is_file() else None


def sqlalchemy_postgres_url(url: str) -> str:
    """The same address with the driver that SQLAlchemy is to use."""
    _, _, rest = url.partition("://")
    return f"postgresql+psycopg2://{rest}"


def _mistake(name: str, expected: str, action: str = "mend the environment") -> ConfigurationError:
    return ConfigurationError(f"{name} must be {expected}", where=Where(field=name), action=action)


def _path(value: str | None, root: Path, default: str) -> Path:
    """``value`` or the default, seen from ``root`` when relative."""
    return (root / Path(value or default).expanduser()).resolve()


def _instant(values: Mapping[str, str], name: str) -> datetime | None:
    text = values.get(name)
    if not text:
        return None
    try:
        instant = datetime.fromisoformat(text)
    except ValueError as error:
        raise _mistake(name, f"an instant like 2026-05-18T10:00:00Z, got {text!r}") from error
    if instant.tzinfo is None:
        raise _mistake(name, f"an instant with its zone, like 2026-05-18T10:00:00Z, got {text!r}")
    return instant.astimezone(UTC)


def _web_address(values: Mapping[str, str], name: str, default: str) -> str:
    """An http or https address without a slash at its end."""
    text = (values.get(name) or default).rstrip("/")
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise _mistake(name, f"an address like {default}")
    return text


def _alert_settings(values: Mapping[str, str]) -> dict[str, Any]:
    """Where alerts go. Raises ConfigurationError for an address without what belongs to it: an alert that nobody gets is none."""
    smtp_url, webhook_url = values.get("ETALON_ALERT_SMTP_URL") or None, values.get("ETALON_ALERT_WEBHOOK_URL") or None
    sender = values.get("ETALON_ALERT_FROM", "").strip()
    receivers = tuple(one for part in values.get("ETALON_ALERT_TO", "").split(",") if (one := part.strip()))
    if smtp_url and urlsplit(smtp_url).scheme not in ("smtp", "smtps"):
        raise _mistake(
            "ETALON_ALERT_SMTP_URL", "an address like smtp://user:password@mail.example.org:587 or smtps://…"
        )
    if smtp_url and "@" not in sender:
        raise _mistake("ETALON_ALERT_FROM", "an e-mail address, since ETALON_ALERT_SMTP_URL is set")
    if smtp_url and (not receivers or not all("@" in one for one in receivers)):
        raise _mistake("ETALON_ALERT_TO", "e-mail addresses, separated by commas, since ETALON_ALERT_SMTP_URL is set")
    if webhook_url and (urlsplit(webhook_url).scheme not in ("http", "https") or not urlsplit(webhook_url).netloc):
        raise _mistake("ETALON_ALERT_WEBHOOK_URL", "an address like https://hooks.example.org/…")
    return {
        "alert_smtp_url": smtp_url,
        "alert_from": sender,
        "alert_to": receivers,
        "alert_webhook_url": webhook_url,
        "alert_webhook_secret": values.get("ETALON_ALERT_WEBHOOK_SECRET") or None,
    }


def _engine_settings(values: Mapping[str, str], root: Path, data_dir: Path) -> dict[str, Any]:
    """What builds the SQL models, and where."""
    engine, remote = values.get("ETALON_ENGINE") or DUCKDB, values.get("ETALON_SPARK_REMOTE") or ""
    if engine not in ENGINES:
        raise _mistake("ETALON_ENGINE", f"one of {', '.join(ENGINES)}, got {engine!r}", "mend it or --engine")
    if remote and not remote.startswith("sc://"):
        raise _mistake("ETALON_SPARK_REMOTE", "an address like sc://spark.example.org:15002", "mend it or --remote")
    if engine == SPARK and not remote:
        raise _mistake(
            "ETALON_SPARK_REMOTE",
            f"the address of a Spark Connect endpoint, since the engine is {SPARK}",
            "set it, or give --remote sc://spark.example.org:15002",
        )
    folder = _path(values.get("ETALON_SPARK_FOLDER"), root, str(data_dir / "spark"))
    return {
        "engine": engine,
        "spark_remote": remote,
        "spark_folder": folder,
        "spark_stay": tuple(one for part in values.get("ETALON_SPARK_STAY", "").split(",") if (one := part.strip())),
        "spark_folder_there": (values.get("ETALON_SPARK_FOLDER_THERE") or str(folder)).rstrip("/"),
    }


def _whole_number(values: Mapping[str, str], name: str, default: int) -> int:
    text = values.get(name)
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise _mistake(name, f"a whole number from 1, got {text!r}")
    return int(text)


def _decode_key(text: str) -> bytes:
    """Hex if it is hex, else base64 if it is base64, else the text's own bytes."""
    try:
        return bytes.fromhex(text)
    except ValueError:
        pass  # not hex: the next notation is tried
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        return text.encode()


def _with_secret_files(values: Mapping[str, str], root: Path) -> dict[str, str]:
    """``values`` and what stands in the files that variables ending in `_FILE` name; white space around a file's text is taken off."""
    found = dict(values)
    for variable, value in values.items():
        name = variable.removesuffix(IN_FILE)
        if not variable.startswith("ETALON_") or variable in (name, "ETALON_ENV_FILE") or not value:
            continue
        if values.get(name):
            raise ConfigurationError(
                f"{name} and {variable} are both set", where=Where(field=variable), action="keep one of them"
            )
        path = _path(value, root, "")
        try:
            found[name] = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise _mistake(variable, f"a text file that can be read, got {path}") from error
    return found


def _read_env_file(path: Path, *, is_required: bool) -> dict[str, str]:
    """Lines NAME=value; blank lines and # comments are skipped; one pair of quotes around a value is taken off."""
    if not path.is_file():
        if is_required:
            raise _mistake("ETALON_ENV_FILE", f"a file that exists, got {path}")
        return {}
    found: dict[str, str] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        text = line.strip().removeprefix("export ")
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if not equals or not name.strip().isidentifier():
            raise ConfigurationError(
                "this line is not NAME=value", where=Where(file=str(path), line=number), action="mend or remove it"
            )
        value = value.strip()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "'\"":
            value = value[1:-1]
        found[name.strip()] = value
    return found
