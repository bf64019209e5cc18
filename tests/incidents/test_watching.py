"""As Dagster and the command line run it: incidents at the end of a run that failed, by the sensor, in the background, and on screen."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import pytest
from typer.testing import CliRunner

from assets.operations import at_a_glance, look_around
from assets.publication import publication_steps
from assets.runtime import Runtime
from assets.sql_models import markdown_table
from orchestration.cli import app, exchanges, incidents
from orchestration.definitions import asset_impact, build_definitions
from orchestration.in_process import QUIET
from orchestration.instance import SYNC_TAG
from orchestration.jobs import CHANNEL_SYNC, HOURLY_INCREMENTAL
from orchestration.runs import run_job
from orchestration.watch import incidents_sensor, journal_ended_runs, journal_run, watch_in_background
from resources.operations.incidents import Impact
from resources.settings import Settings
from tests.incidents.world import World
from tests.orchestration.small import CATALOGUE, MemoryConnector, broken_shop, product, small_runtime

LIGHT = MemoryConnector("erp", (CATALOGUE,), [product("1", weight_g=0)])
"""A catalogue that a blocking check stops."""


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(runtime: Runtime, instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    definitions = build_definitions(runtime, publications=publication_steps(runtime)[:1])
    job = definitions.resolve_job_def(HOURLY_INCREMENTAL)
    return job.execute_in_process(instance=instance, raise_on_error=False, run_config=QUIET)


def shown(result: dg.ExecuteInProcessResult, key: str) -> dict[str, object]:
    [event] = [e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey.from_user_string(key)]
    return {name: entry.value for name, entry in event.materialization.metadata.items()}


def kinds(runtime: Runtime) -> list[str]:
    return sorted(one.kind for one in runtime.operations.incidents.find(status="open"))


def test_a_run_that_broke_still_shows_what_is_wrong(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Given a system that cannot be read and a check that stops the run, expect both assets of operations at the very end."""
    runtime = small_runtime(
        settings, erp=LIGHT, shop_fr=MemoryConnector("shop_fr", (CATALOGUE,), failure=broken_shop())
    )
    result = run(runtime, instance)
    assert not result.success
    found = shown(result, "operations/incidents")
    assert (found["open"], found["errors"]) == (1, 1)
    assert "shop_fr.catalogue" in str(found["what is wrong"])
    assert "make a new key" in str(found["in full"])
    assert "referentials product" in str(found["touched"])
    journal = shown(result, "operations/exchanges")
    assert (journal["exchanges"], journal["failed"]) == (2, 1)
    assert "| erp | in | extract | 1 | 0 | 1 |" in str(journal["last day, by system"])
    steps = [event.step_key for event in result.all_events if event.is_step_start]
    assert steps[-1] == "watch_operations"


def test_the_sensor_tells_of_failed_runs_until_one_ends_well(settings: Settings, instance: dg.DagsterInstance) -> None:
    settings = replace(settings, now=None)
    runtime = small_runtime(settings, erp=LIGHT)
    run(runtime, instance)
    sensor = incidents_sensor(runtime, asset_impact(runtime))
    first = sensor.evaluate_tick(dg.build_sensor_context(instance=instance))
    assert kinds(runtime) == ["run_failed"]
    [one] = runtime.operations.incidents.find(status="open")
    assert (one.stream, one.evidence["steps"]) == (HOURLY_INCREMENTAL, "build_referentials")
    assert (one.impact.referentials, one.impact.publications) == (("product",), ("bi", "report"))
    again = sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=first.cursor))
    assert (again.run_requests, kinds(runtime)) == ([], ["run_failed"])
    assert [event.metadata["open"].value for event in first.asset_events] == [1]
    assert again.asset_events == [], "the page is told anew when something changed, and not every 30 seconds"
    run(small_runtime(settings), instance)
    sensor.evaluate_tick(dg.build_sensor_context(instance=instance, cursor=again.cursor))
    assert kinds(runtime) == []
    told = runtime.operations.watching.journal(kinds=("run",))
    assert [(line.is_ok, (line.stream or "").partition("/")[2]) for line in told] == [
        (False, "build_referentials"),
        (True, ""),
    ]


BROKEN: list[str] = []
"""What fails for now."""


def fail_if_broken(name: str) -> None:
    if name in BROKEN:
        raise ValueError("no")


@dg.op
def write() -> None:
    fail_if_broken("write")


@dg.job(name=CHANNEL_SYNC, executor_def=dg.in_process_executor)
def sync() -> None:
    write()


@dg.asset
def left() -> None:
    fail_if_broken("left")


@dg.asset
def right() -> None:
    fail_if_broken("right")


def test_only_the_same_run_gone_well_ends_a_failed_one(settings: Settings, instance: dg.DagsterInstance) -> None:
    """Given a failed sync of one channel, expect a good one of another to change nothing; the same for runs of some assets."""
    runtime = small_runtime(replace(settings, now=None))

    def after(result: dg.ExecuteInProcessResult) -> set[str | None]:
        ended = instance.get_run_by_id(result.run_id)
        assert ended is not None
        journal_run(runtime.operations, instance, ended, at=datetime.now(UTC))
        look_around(runtime, asset_impact(runtime))
        return {one.stream for one in runtime.operations.incidents.find(status="open") if one.kind == "run_failed"}

    def synced(channel: str, *, fails: bool) -> set[str | None]:
        BROKEN[:] = ["write"] if fails else []
        return after(sync.execute_in_process(instance=instance, tags={SYNC_TAG: channel}, raise_on_error=False))

    def made(asset: dg.AssetsDefinition) -> set[str | None]:
        return after(dg.materialize([left, right], selection=[asset], instance=instance, raise_on_error=False))

    assert synced("web-fr", fails=True) == {"channel_sync web-fr"}
    assert synced("web-be", fails=False) == {"channel_sync web-fr"}
    assert synced("web-be", fails=True) == {"channel_sync web-fr", "channel_sync web-be"}
    assert synced("web-fr", fails=False) == {"channel_sync web-be"}
    assert synced("web-be", fails=False) == set()
    BROKEN.append("left")
    [failing] = made(left)
    BROKEN.clear()
    assert made(right) == {failing}
    assert made(left) == set()


def test_the_page_shows_what_is_wrong_in_a_few_lines_and_nothing_that_a_system_says_becomes_a_link(
    world: World,
) -> None:
    for number in range(40):
        world.run_ends(f"{number} [x](evil) <img src=x> `code`", error="broken")
    world.refresh()
    told = at_a_glance(world.open())
    assert len(told) < 1000, "the UI hides longer texts behind a link"
    assert "\\[x\\](evil) \\<img src=x\\> `code`" in told
    assert told.splitlines()[-1].endswith("more")
    cell = markdown_table(("what",), [("a|b `c|d` ![p](http://e) ``` \\ *",)]).splitlines()[-1]
    assert cell == "| a\\|b `c\\|d` !\\[p\\](http://e) \\`\\`\\` \\\\ \\* |"


def test_a_mistake_of_ours_does_not_end_the_watch(settings: Settings) -> None:
    runtime = small_runtime(settings, erp=MemoryConnector("erp", (CATALOGUE,), failure=broken_shop()))
    runtime.extract(runtime.connectors["erp"], CATALOGUE, full=True, run_id="run")
    stop, calls = threading.Event(), []

    def touched(_signal: object) -> Impact:
        calls.append(1)
        if len(calls) == 1:
            raise KeyError("a mistake")
        stop.set()
        return Impact()

    thread = watch_in_background(runtime, lambda: touched, stop, every_s=0.02)
    assert stop.wait(10)
    thread.join()
    assert len(calls) == 2


def test_a_run_is_journalled_once_however_often_it_is_met(settings: Settings, instance: dg.DagsterInstance) -> None:
    runtime = small_runtime(replace(settings, now=None), erp=LIGHT)
    run(runtime, instance)
    an_hour_ago = datetime.now(UTC) - timedelta(hours=1)
    for _ in range(3):
        journal_ended_runs(runtime.operations, instance, since_at=an_hour_ago)
    assert len(runtime.operations.watching.journal(kinds=("run",))) == 1


def test_the_command_line_looks_by_itself(settings: Settings) -> None:
    """Given no daemon at all, expect a failed run of the command line among the incidents."""
    runtime = small_runtime(settings, erp=LIGHT)
    assert not run_job(runtime, full=False, publications=()).is_finished
    assert kinds(runtime) == ["run_failed"]


def test_analysts_see_exchanges_and_incidents(settings: Settings, instance: dg.DagsterInstance) -> None:
    runtime = small_runtime(settings, shop_fr=MemoryConnector("shop_fr", (CATALOGUE,), failure=broken_shop()))
    run(runtime, instance)
    run(runtime, instance)
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as con:
        lines = con.sql(
            "select system_code, outcome from meta.exchange where kind = 'extract' order by exchange_id"
        ).fetchall()
        found = con.sql("select system_code, stream, status from meta.incident").fetchall()
    assert sorted(set(lines)) == [("erp", "complete"), ("shop_fr", "failed")]
    assert found == [("shop_fr", "catalogue", "open")]


def test_a_worker_looks_in_the_background(settings: Settings) -> None:
    runtime = small_runtime(settings, erp=MemoryConnector("erp", (CATALOGUE,), failure=broken_shop()))
    runtime.extract(runtime.connectors["erp"], CATALOGUE, full=True, run_id="run")
    stop, seen = threading.Event(), threading.Event()

    def impact() -> object:
        seen.set()
        return asset_impact(runtime)

    thread = watch_in_background(runtime, impact, stop, every_s=0.05)  # type: ignore[arg-type]
    assert seen.wait(10)
    deadline = threading.Event()
    for _ in range(200):
        if kinds(runtime):
            break
        deadline.wait(0.05)
    stop.set()
    thread.join(10)
    assert not thread.is_alive()
    assert kinds(runtime) == ["reading_failed"]


def test_who_opens_personal_values_leaves_a_trace(settings: Settings) -> None:
    """Given two values of which one is opened, expect one line that says when and of what kind, and not which."""
    runtime = small_runtime(settings)
    runtime.personal.put([("token-1", "email", "ann@example.org"), ("token-2", "name", "Ann")])
    value = runtime.personal.get("token-1")
    assert value is not None
    assert runtime.personal.get("token-9") is None
    [line] = runtime.operations.watching.journal(kinds=("customer_read",))
    assert (line.rows_qty, line.detail) == (1, "a personal value of kind email was opened")
    assert "token-1" not in repr(line)


@pytest.fixture
def at_hand(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """A runtime whose erp cannot be read, as the commands open it."""
    runtime = small_runtime(settings, erp=MemoryConnector("erp", (CATALOGUE,), failure=broken_shop()))
    runtime.extract(runtime.connectors["erp"], CATALOGUE, full=True, run_id="run")
    monkeypatch.setattr(incidents, "open_runtime", lambda: runtime)
    monkeypatch.setattr(exchanges, "open_runtime", lambda: runtime)
    monkeypatch.setenv("COLUMNS", "250")
    return runtime


def invoke(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, words)
    return result.exit_code, result.output


def test_what_the_commands_show(at_hand: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Given one failed reading, expect exit code 1 while it is open, 0 once it is muted or over, and what it touches on request."""
    monkeypatch.setattr("orchestration.cli.incidents.console._width", 250)  # measured once, when it is made
    for words in (("incidents",), ("incidents", "list")):
        code, text = invoke(*words)
        assert code == 1
        for part in ("reading_failed", "erp.catalogue", "the key is refused", "make a new key"):
            assert part in text
    code, text = invoke("incidents", "show", "1")
    assert (code, "touches referentials" in text, "opened" in text) == (0, True, True)
    code, text = invoke("exchanges", "list", "--failed", "--system", "erp")
    assert (code, text.count("PermanentError")) == (0, 1)
    assert invoke("incidents", "mute", "1", "--hours", "2", "--note", "moving")[0] == 0
    assert invoke("incidents", "list")[0] == 0
    assert invoke("incidents", "accept", "1", "--note", "known")[0] == 0
    assert invoke("incidents", "list")[0] == 0
    code, text = invoke("incidents", "list", "--all")
    assert (code, "accepted" in text) == (0, True)


@pytest.mark.parametrize(
    "words", [("show", "7"), ("mute", "7"), ("accept", "7", "--note", "x"), ("mute", "1", "--until", "soon")]
)
def test_what_does_not_exist_is_told(at_hand: Runtime, words: tuple[str, ...]) -> None:
    assert at_hand.operations.incidents.find() == []
    assert invoke("incidents", *words)[0] != 0


def test_the_project_has_the_assets_of_operations() -> None:
    snapshot = (Path(__file__).parents[1] / "orchestration" / "asset_keys.txt").read_text(encoding="utf-8").splitlines()
    assert {"operations/exchanges", "operations/incidents"} <= set(snapshot)
