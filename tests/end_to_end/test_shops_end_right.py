"""The shops of the sandbox after their sync: right as read from them, a second sync writes nothing, a revert restores."""

from __future__ import annotations

from pathlib import Path

from assets.runtime import Runtime, build_runtime
from orchestration.demo import ENV_FILE, run_demo
from orchestration.runs import run_sync
from resources.operations.plans import Plan
from resources.settings import Settings
from resources.sync.deciding import Decider
from tests.end_to_end.conftest import SCALE


def read_from_shop(runtime: Runtime, plan: Plan) -> dict[str, object]:
    """What the shop sells of each item now, read whole."""
    connector = runtime.connectors[plan.system_code]
    stream = next(stream for stream in connector.streams() if "channel_stock" in stream.entities)
    now = runtime.settings.clock()()
    return {
        row["product_external_id"]: row["published_qty"]
        for batch in connector.read(stream, since_at=None, now=now).batches
        for row in batch.frames["channel_stock"].iter_rows(named=True)
    }


def test_the_shops_end_right_a_second_sync_is_empty_and_a_revert_restores(tmp_path: Path, project_root: Path) -> None:
    with run_demo(tmp_path / "data", root=project_root, scale=SCALE) as outcome:
        synced = outcome.sync
        assert synced is not None
        assert outcome.is_good, (synced.first.errors, synced.reading.errors, synced.wrong_after, synced.again_qty)
        assert {plan.subject for plan in synced.plans} == {"stock", "price", "publication", "shipment"}
        assert {plan.subject for plan in synced.held} == {"price"}, "gross price errors wait for a person"

        settings = Settings.from_environment({"ETALON_ENV_FILE": str(outcome.folder / ENV_FILE)}, project_root)
        runtime = build_runtime(settings)
        decider = Decider(runtime.operations, runtime.connectors, settings.clock(), by="tester", note="put back")
        for plan in (plan for plan in synced.plans if plan.subject == "stock"):
            lines = runtime.operations.plans.lines(plan.plan_id)
            shown = read_from_shop(runtime, plan)
            assert {line.external_id: shown[line.external_id] for line in lines} == {
                line.external_id: line.after for line in lines
            }
            reverted, summary = decider.revert(runtime.retailer, settings.data_dir, plan.plan_id, is_approved=True)
            assert summary is not None
            assert summary.outcomes == {"applied": len(lines)}
            shown = read_from_shop(runtime, plan)
            assert {line.external_id: shown[line.external_id] for line in lines} == {
                line.external_id: line.before for line in lines
            }
            assert reverted.status == "applied"
            assert runtime.operations.plans.get(plan.plan_id).status == "reverted"

        # What a person took back is not written again by itself: the last difference is older than that.
        assert run_sync(runtime, []).is_good
        assert not runtime.operations.plans.find(statuses=("approved", "applying"))
