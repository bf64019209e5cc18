"""The job channel_sync, the decisions and the commands, on the project's own retailer with shops in memory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from assets.runtime import Runtime, build_runtime
from orchestration.cli import letters, plans, sync, terminal
from orchestration.cli.app import app
from orchestration.decisions import APPROVE_PLAN, REJECT_PLAN, REVERT_PLAN
from orchestration.definitions import build_definitions
from orchestration.jobs import CHANNEL_SYNC, HOURLY_INCREMENTAL, NIGHTLY_FULL
from orchestration.runs import run_sync
from resources.connectors.sdk.stream import AccessCheck, Reading, Stream
from resources.errors import ConfigurationError
from resources.operations.receipts import Json
from resources.settings import Settings
from resources.sql_project import SqlProject
from resources.sync.facts import write_difference
from tests.retailer.declared import VARIABLES
from tests.sync.conftest import NOW
from tests.sync.fake_shop import FakeShop
from tests.sync.given import difference

BE, FR = {"channel": "web-be", "system": "shop_be"}, {"channel": "web-fr", "system": "shop_fr"}


class Shop(FakeShop):
    """A shop that is written and not read."""

    def streams(self) -> tuple[Stream, ...]:
        return ()

    def read(self, stream: Stream, **_: object) -> Reading:
        raise AssertionError(f"a sync reads nothing, {stream.name} was asked for")

    def check_access(self) -> tuple[AccessCheck, ...]:
        return ()


@pytest.fixture(scope="module")
def project(project_root: Path, sql_project: SqlProject) -> Runtime:
    """The project's own retailer and SQL."""
    environ = {**VARIABLES, "ETALON_NOW": NOW.isoformat(), "ETALON_SECRET_KEY": "00" * 32}
    return build_runtime(Settings.from_environment(environ, project_root), project=sql_project)


@pytest.fixture
def runtime(project: Runtime, tmp_path: Path) -> Iterator[Runtime]:
    folder = tmp_path / "data"
    settings = replace(project.settings, data_dir=folder, operations_url=f"sqlite:///{folder}/operations.sqlite")
    shops = {code: Shop(system_code=code) for code in ("shop_be", "shop_fr")}
    made = replace(project, settings=settings, connectors={**project.connectors, **shops})
    yield made
    made.operations.close()


def leave(runtime: Runtime, *rows: tuple[str, str, Json, Json], **of: str) -> Shop:
    """The main job left a difference of this channel, and its shop holds what it was seen to hold."""
    found = difference(*rows, **of)  # type: ignore[arg-type]
    write_difference(runtime.settings.data_dir, found)
    shop = runtime.connectors[found.system_code]
    assert isinstance(shop, Shop)
    for item, attribute, before, _ in rows:
        entity = "channel_stock" if attribute == "published_qty" else "channel_price"
        shop.values[(entity, item, attribute)] = before
    return shop


@pytest.fixture
def etalon(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> object:
    """The command line on this runtime."""
    for module in (plans, sync, letters):
        monkeypatch.setattr(module, "open_runtime", lambda *_: runtime)
    monkeypatch.setattr(terminal.console, "_width", 250)  # a console measures its terminal once, when it is made

    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(app, arguments, env={"COLUMNS": "250", "TERM": "dumb"})
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return run


def test_main_jobs_leave_plans_and_receipts_alone_and_the_sync_leaves_the_rest(runtime: Runtime) -> None:
    definitions = build_definitions(runtime)
    keys = {
        name: {key.to_user_string() for key in definitions.resolve_job_def(name).asset_layer.executable_asset_keys}
        for name in (NIGHTLY_FULL, HOURLY_INCREMENTAL, CHANNEL_SYNC)
    }
    assert keys[CHANNEL_SYNC] == {f"sync/web-{code}/{name}" for code in ("fr", "be") for name in ("plan", "receipts")}
    for main in (NIGHTLY_FULL, HOURLY_INCREMENTAL):
        assert not keys[main] & keys[CHANNEL_SYNC]
        assert {"sync/web-fr/difference", "sync/web-be/difference"} <= keys[main]


def test_a_sync_plans_writes_and_tells(runtime: Runtime) -> None:
    shop = leave(runtime, ("a", "published_qty", 5, 3), ("b", "published_qty", 5, 4), **BE)
    leave(runtime, ("a", "regular_minor", 1000, 1), **FR)
    shop.refuses[("channel_stock", "b", "published_qty")] = "no such product"
    summary = run_sync(runtime, [])
    assert summary.is_finished
    failed = {
        (check.asset, check.check, check.is_error, check.is_blocking): check.detail for check in summary.failed_checks
    }
    assert set(failed) == {
        ("sync/web-be/receipts", "all_written", True, False),
        ("sync/web-fr/plan", "not_held", False, False),
    }
    assert "1 dead letters" in failed[("sync/web-be/receipts", "all_written", True, False)]
    assert "prices fall too far" in failed[("sync/web-fr/plan", "not_held", False, False)]
    assert shop.values[("channel_stock", "a", "published_qty")] == 3


def test_one_channel_alone_or_only_its_plan(runtime: Runtime) -> None:
    be = leave(runtime, ("a", "published_qty", 5, 3), **BE)
    assert run_sync(runtime, ["web-be"], plan_only=True).materialized == ("sync/web-be/plan",)
    assert be.calls == 0
    assert run_sync(runtime, ["web-be"]).materialized == ("sync/web-be/plan", "sync/web-be/receipts")
    assert be.values[("channel_stock", "a", "published_qty")] == 3


@pytest.mark.parametrize(
    ("channel", "message"), [("web-bee", "did you mean web-be"), ("stores-fr", "channel stores-fr cannot be written")]
)
def test_a_channel_that_cannot_be_written_is_named(runtime: Runtime, channel: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        run_sync(runtime, [channel])


def test_without_a_difference_the_sync_says_what_to_do(runtime: Runtime) -> None:
    summary = run_sync(runtime, ["web-be"])
    assert not summary.is_finished
    assert "`etalon run` reads the systems and leaves it" in " ".join(summary.errors.values())


def decide(runtime: Runtime, job: str, op: str, config: Mapping[str, object]) -> dg.ExecuteInProcessResult:
    definition = build_definitions(runtime).resolve_job_def(job)
    with dg.DagsterInstance.ephemeral() as instance:
        return definition.execute_in_process(
            run_config={"ops": {op: {"config": config}}}, instance=instance, raise_on_error=False
        )


def test_decisions_as_jobs_are_written_and_show_on_the_receipts(runtime: Runtime) -> None:
    shop = leave(runtime, ("a", "regular_minor", 1000, 1), **BE)
    run_sync(runtime, ["web-be"])
    (plan,) = runtime.operations.plans.find()
    who = {"plan_id": plan.plan_id, "by": "mara", "note": "a sale"}
    approved = decide(runtime, APPROVE_PLAN, "approve", who)
    assert approved.success
    (shown,) = [event for event in approved.all_events if event.is_step_materialization]
    assert shown.asset_key is not None
    assert shown.asset_key.to_user_string() == "sync/web-be/receipts"
    assert shop.values[("channel_price", "a", "regular_minor")] == 1
    assert not decide(runtime, REJECT_PLAN, "reject", who).success, "it is applied"
    assert decide(runtime, REVERT_PLAN, "revert", {**who, "approve": True}).success
    assert shop.values[("channel_price", "a", "regular_minor")] == 1000
    assert runtime.operations.plans.get(plan.plan_id).status == "reverted"


def test_the_commands_from_a_difference_to_a_revert(runtime: Runtime, etalon: object) -> None:
    assert callable(etalon)
    shop = leave(
        runtime, ("a", "regular_minor", 1000, 1), ("b", "published_qty", 5, 3), ("c", "published_qty", 5, 3), **BE
    )
    shop.refuses[("channel_stock", "c", "published_qty")] = "no such [product]"
    code, told = etalon("sync", "web-be", "--plan-only")
    assert (code, shop.calls) == (1, 0)
    assert "Nothing was written" in told
    code, told = etalon("sync", "web-be")
    assert code == 1
    assert "prices fall too far" in told
    code, told = etalon("plans", "list")
    assert "web-be-price-20260518-100000" in told
    assert "price fall" in told
    code, told = etalon("plans", "show", "web-be-price")
    assert "1000" in told
    assert "max_price_fall_pct" in told
    code, told = etalon("plans", "approve", "web-be-price", "--by", "mara", "--note", "a sale")
    assert code == 0, told
    code, told = etalon("plans", "show", "web-be-price")
    assert "by mara" in told
    assert "a sale" in told
    code, told = etalon("letters", "list")
    assert "no such [product]" in told
    (letter,) = runtime.operations.outbox.dead_letters()
    code, told = etalon("letters", "show", str(letter.outbox_id))
    assert "refused" in told
    assert etalon("letters", "replay", str(letter.outbox_id))[0] == 0
    assert etalon("letters", "drop", str(letter.outbox_id))[0] == 1, "it waits, it is no dead letter"
    shop.refuses.clear()
    code, told = etalon("sync", "web-be")
    assert code == 0, told
    assert shop.values[("channel_stock", "c", "published_qty")] == 3
    code, told = etalon("plans", "revert", "web-be-stock", "--by", "mara")
    assert code == 0, told
    assert shop.values[("channel_stock", "b", "published_qty")] == 5
    code, told = etalon("plans", "list", "--status", "reverted")
    assert "web-be-stock" in told


def test_a_rejected_plan_writes_nothing(runtime: Runtime, etalon: object) -> None:
    assert callable(etalon)
    shop = leave(runtime, ("a", "regular_minor", 1000, 1), **BE)
    etalon("sync", "web-be")
    code, told = etalon("plans", "reject", "web-be-price", "--note", "wrong file")
    assert code == 0
    assert "rejected" in told
    assert etalon("sync", "web-be")[0] == 0, "nothing waits any more"
    assert shop.calls == 0
