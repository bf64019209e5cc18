"""The service: database, Dagster's processes and ours, on one machine, from `etalon up` until somebody ends it.

Belongs here: putting them together in the right order. The processes are listed in `orchestration.service.programs`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack

import dagster as dg

from assets.periods import history_pools
from assets.runtime import Runtime
from assets.stock_book import lane_channels
from orchestration.instance import MODE_TAG, open_instance, postgres_environment
from orchestration.jobs import NIGHTLY_FULL, full_config
from orchestration.service import private_postgres
from orchestration.service.graphql import launch_job
from orchestration.service.lock import only_one
from orchestration.service.probes import daemon_beats, worker_beats
from orchestration.service.programs import DAEMON, Ports, service_programs
from orchestration.service.supervisor import ProgramState, Supervisor, stopped_by_signals
from resources.errors import PermanentError, Where
from resources.operations import Operations
from resources.operations.carrying import carry_over
from resources.settings import IN_FILE, OPERATIONS_FILE, REPORT_URL, SERVICE, Settings, sqlalchemy_postgres_url

POSTGRES_URL = "ETALON_POSTGRES_URL"


def run_service(
    runtime: Runtime,
    environ: Mapping[str, str],
    ports: Ports,
    *,
    on_change: Callable[[ProgramState], None] = lambda _state: None,
    on_ready: Callable[[Supervisor], None] = lambda _supervisor: None,
    full_run_first: bool = False,
) -> None:
    """Start everything, say when it is ready, watch it, and return when a signal ended it: by then nothing is left running.

    ``environ``: what the processes get, settings of the retailer included. ``full_run_first``: launch a full run once all is ready,
    unless it has had one. Raises ConfigurationError when the service runs already, or PostgreSQL is missing.
    """
    settings = runtime.settings
    with ExitStack() as stack:
        stack.enter_context(only_one(settings.service_dir))
        supervisor = Supervisor(settings.service_dir, settings.log_dir, on_change=on_change)
        stack.callback(supervisor.end)
        stack.enter_context(stopped_by_signals(supervisor))
        url = _database(supervisor, settings, environ)
        if supervisor.is_stopping:
            return
        operations_url = settings.variables.get("ETALON_OPERATIONS_URL") or sqlalchemy_postgres_url(url)
        _carry_over(settings, operations_url)
        instance = stack.enter_context(open_instance(settings.dagster_dir, url, pools=history_pools(runtime)))
        children = children_environment(environ, settings, ports, postgres_url=url)
        operations = Operations.open(operations_url, data_dir=settings.data_dir)
        stack.callback(operations.close)
        programs = service_programs(
            settings,
            children,
            ports,
            daemon_beats=daemon_beats(instance),
            worker_beats=worker_beats(operations) if lane_channels(runtime) else None,
            has_webhooks=any(getattr(system, "webhook_secret", None) for system in runtime.retailer.systems),
        )
        if full_run_first and instance.get_runs_count(dg.RunsFilter(job_name=NIGHTLY_FULL)) == 0:
            # Queued before the daemon looks at its sensors, which would start an incremental reading for the same files.
            supervisor.add([program for program in programs if program.name != DAEMON])
            supervisor.run(until=lambda: supervisor.is_healthy)
            if not supervisor.is_stopping:
                launch_full(runtime, ports.url(ports.ui))
            programs = [program for program in programs if program.name == DAEMON]
        supervisor.add(programs)
        supervisor.run(until=lambda: supervisor.is_healthy)
        if not supervisor.is_stopping:
            on_ready(supervisor)
        supervisor.run()


def children_environment(
    environ: Mapping[str, str], settings: Settings, ports: Ports, *, postgres_url: str
) -> dict[str, str]:
    """What the processes of the service get: ``environ``, and what only the service knows."""
    return {
        **environ,
        **postgres_environment(postgres_url),
        POSTGRES_URL: postgres_url,
        REPORT_URL: settings.variables.get(REPORT_URL) or ports.url(ports.report),
        # What a file named was read from it: a process that is given both would refuse to start.
        f"{POSTGRES_URL}{IN_FILE}": "",
        f"{REPORT_URL}{IN_FILE}": "",
        SERVICE: "1",
        # On a machine that is busy a run's process takes its time; what is given up after a minute starts nevertheless, and is repeated.
        "DAGSTER_GRPC_TIMEOUT_SECONDS": environ.get("DAGSTER_GRPC_TIMEOUT_SECONDS", "300"),
        "DAGSTER_HOME": str(settings.dagster_dir),
        "PYTHONUNBUFFERED": "1",
    }


def launch_full(runtime: Runtime, ui_url: str) -> str:
    """Queue a full run of the main job; gives its id."""
    codes = [code for code, connector in runtime.connectors.items() if connector.streams()]
    return launch_job(ui_url, NIGHTLY_FULL, full_config(codes), {MODE_TAG: "full"})


def _carry_over(settings: Settings, operations_url: str) -> None:
    """The cursors, receipts and quarantine of a folder that was used without PostgreSQL go on in it."""
    if operations_url.startswith("postgresql"):
        carry_over(settings.data_dir / OPERATIONS_FILE, operations_url, now=settings.clock()())


def _database(supervisor: Supervisor, settings: Settings, environ: Mapping[str, str]) -> str:
    """The address of the service's PostgreSQL: the one that is set, or its own, made and started here."""
    given = settings.variables.get(POSTGRES_URL)
    if given:
        if not private_postgres.can_connect(given):
            raise PermanentError(
                "PostgreSQL does not answer at the address that is set",
                where=Where(field=POSTGRES_URL),
                action="start it or mend the address; without one, the service makes a PostgreSQL of its own",
            )
        return given
    private = private_postgres.prepare(settings.postgres_dir)
    supervisor.add([private.program(environ)])
    supervisor.run(until=lambda: supervisor.is_healthy)
    return private.url
