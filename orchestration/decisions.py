"""Jobs of a person's decisions about plans: approve, reject, revert. The same as `etalon plans …`, from the UI's launchpad.

Belongs here: their configuration, and how they report. What they do is `resources.sync.deciding`.
"""

# No `from __future__ import annotations`: Dagster reads the annotations of operations as they are.

import dagster as dg

from assets.channels import RECEIPTS, receipts_result
from assets.names import sync_key
from assets.runtime import Runtime
from resources.operations.plans import Plan
from resources.sync.applying import ApplySummary
from resources.sync.deciding import Decider

APPROVE_PLAN, REJECT_PLAN, REVERT_PLAN = "approve_plan", "reject_plan", "revert_plan"

_DECISION = {
    "plan_id": dg.Field(str, description="The plan, as `etalon plans list` or the asset of the plans names it."),
    "by": dg.Field(str, description="Who decides. It is recorded."),
    "note": dg.Field(str, default_value="", description="Why. It is recorded."),
}


def decision_jobs(runtime: Runtime) -> list[dg.JobDefinition]:
    """One job per decision."""

    @dg.op(name="approve", config_schema=_DECISION, description="Let a held plan be written, and write it.")
    def approve(context: dg.OpExecutionContext) -> None:
        plan, summary = _decider(runtime, context).approve(
            context.op_config["plan_id"], retailer=runtime.retailer, data_dir=runtime.settings.data_dir
        )
        _report(runtime, context, plan, summary)

    @dg.op(name="reject", config_schema=_DECISION, description="Refuse a held plan: nothing of it is written.")
    def reject(context: dg.OpExecutionContext) -> None:
        plan = _decider(runtime, context).reject(context.op_config["plan_id"])
        context.log.info(f"plan {plan.plan_id} is rejected; it is proposed again once its content changes")

    @dg.op(
        name="revert",
        config_schema={
            **_DECISION,
            "approve": dg.Field(bool, default_value=False, description="Write it also when a guard would hold it."),
        },
        description="Write back what a plan found before it wrote.",
    )
    def revert(context: dg.OpExecutionContext) -> None:
        plan, summary = _decider(runtime, context).revert(
            runtime.retailer,
            runtime.settings.data_dir,
            context.op_config["plan_id"],
            is_approved=context.op_config["approve"],
        )
        if summary is None:
            context.log.warning(f"plan {plan.plan_id} waits: " + "; ".join(each.what for each in plan.held_reasons))
            return
        _report(runtime, context, plan, summary)

    @dg.job(
        name=APPROVE_PLAN,
        executor_def=dg.in_process_executor,
        description="Let a held plan be written, and write it. Configure plan_id, by and note.",
    )
    def approve_plan() -> None:
        approve()

    @dg.job(name=REJECT_PLAN, executor_def=dg.in_process_executor, description="Refuse a held plan.")
    def reject_plan() -> None:
        reject()

    @dg.job(
        name=REVERT_PLAN,
        executor_def=dg.in_process_executor,
        description="Take an applied plan back: write the values that it found before.",
    )
    def revert_plan() -> None:
        revert()

    return [approve_plan, reject_plan, revert_plan]


def _decider(runtime: Runtime, context: dg.OpExecutionContext) -> Decider:
    return Decider(
        runtime.operations,
        runtime.connectors,
        runtime.settings.clock(),
        by=context.op_config["by"],
        note=context.op_config["note"],
        run_id=context.run_id,
    )


def _report(runtime: Runtime, context: dg.OpExecutionContext, plan: Plan, summary: ApplySummary) -> None:
    """What was written shows on the channel's receipts, like that of a sync."""
    channel = runtime.retailer.channel(plan.channel_code)
    key = sync_key(channel.code, RECEIPTS)
    result = receipts_result(runtime, key, channel, summary, begun=[plan.plan_id])
    context.log_event(
        dg.AssetMaterialization(key, metadata={**(result.metadata or {}), "decided by": plan.decided_by or ""})
    )
    if summary.error:
        raise dg.Failure(f"plan {plan.plan_id} waits: {summary.error}", allow_retries=False)
