"""The plan of a channel with millions of listings: what it shows against what it should, the difference's export, guards and plan.

Two states of so many rows are compared by the product's models (`channels.desired_stock`, `channels.difference`) in the warehouse,
`channels.guard_fact` counts them for the guards, and the plan is made as a run makes it. What the models read is invented beforehand
and not counted; the warehouse is one that was built before.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.harness import (
    Baseline,
    Goal,
    Line,
    Outcome,
    common_arguments,
    cpu_clock,
    measure_beside,
    report,
    run_job_if_asked,
)

MODULE = "benchmarks.plan_diff"
CHANNEL, SYSTEM = "web-fr", "shop_fr"
_MODELS = ("channels.desired_stock", "channels.difference", "channels.guard_fact")
_EMPTY = (
    "channels.desired_price",
    "channels.desired_promotion",
    "channels.desired_publication",
    "channels.desired_shipment",
    "referentials.stock_level",
    "referentials.channel_stock_location",
)
_ROWS = """
select d.*, cast(null as bigint) as regular_minor
from channels.difference as d
where d.channel_code = ?
order by d.subject, d.entity, d.external_id, d.location_code, d.attribute
"""
_FACTS = "select * from channels.guard_fact where subject = 'stock'"


def write_states(folder: Path, listings: int, *, changed_share: float, seed: int) -> None:
    """A warehouse with what a channel of so many listings shows and what it should show; also as two Parquet files for baselines."""
    from benchmarks.stores import NOW
    from resources.warehouse import Warehouse

    warehouse = Warehouse(folder)
    changed = round(changed_share * 1_000_000)
    with warehouse.writer(purpose="the benchmark's states") as con:
        for schema in ("kpis", "referentials", "channels"):
            con.execute(f"create schema if not exists {schema}")
        con.execute(
            f"""create or replace table referentials.channel as
            select '{CHANNEL}' as channel_code, '{SYSTEM}' as system_code, 'web' as kind, 'EUR' as currency_code,
                cast(60 as bigint) as stock_stale_after_minutes"""
        )
        shown = f"cast(hash(i, {seed}) % 200 as bigint)"
        is_changed = f"hash(i, {seed}, 'changed') % 1000000 < {changed}"
        con.execute(
            f"""create or replace table kpis.k1b_listing as
            select '{CHANNEL}' as channel_code, cast(i as varchar) as product_external_id, 'P-' || i as product_id,
                'SKU-' || i as sku, case when {is_changed} then 'wrong' else 'ok' end as state,
                cast(null as varchar) as exclusion_reason, {shown} as published_qty,
                {shown} + case when {is_changed} then 1 else 0 end as expected_qty, cast(1990 as bigint) as unit_value_minor,
                'EUR' as currency_code, timestamptz '{NOW.isoformat()}' - interval 5 minute as expected_as_of_at,
                timestamptz '{NOW.isoformat()}' - interval 5 minute as stock_observed_at, 'on hand less reserved' as proof
            from range({listings}) as t (i)"""
        )
        con.execute(
            """create or replace table referentials.listing as
            select channel_code, product_external_id, stock_observed_at, stock_observed_at as price_observed_at, true as is_published
            from kpis.k1b_listing"""
        )
        con.execute(
            f"""create or replace table channels.feeding_stream as
            select '{CHANNEL}' as channel_code, 'stock' as subject, '{SYSTEM}' as system_code, role as stream, role,
                timestamptz '{NOW.isoformat()}' as read_at, false as is_failed
            from (values ('observed'), ('orders'), ('source')) as t (role)"""
        )
        for name in _EMPTY:
            columns = ", ".join(f"cast(null as {kind}) as {column}" for column, kind in _columns().items())
            con.execute(f"create or replace table {name} as select {columns} limit 0")
        warehouse.set_run_clock(con, as_of_at=NOW, run_id="benchmark")
        for name, column in (("observed", "published_qty"), ("desired", "expected_qty")):
            con.execute(
                f"""copy (select channel_code, product_external_id, sku, {column} as quantity from kpis.k1b_listing)
                to '{folder / name}.parquet' (format parquet)"""
            )


def _columns() -> dict[str, str]:
    text = "channel_code system_code product_external_id order_external_id order_number product_id sku before_value after_value"
    text += " unwritable_reason currency_code promotion_external_id verdict reason location_code"
    numbers = "units_at_risk value_at_risk_minor desired_regular_minor"
    flags = "is_different is_desired_published"
    return {
        **dict.fromkeys(text.split(), "varchar"),
        **dict.fromkeys(numbers.split(), "bigint"),
        **dict.fromkeys(flags.split(), "boolean"),
        "observed_at": "timestamptz",
        "as_of_at": "timestamptz",
    }


def job(given: dict[str, Any]) -> Outcome:
    """One comparison and one plan, in a copy of the warehouse."""
    from benchmarks.machine import ROOT
    from benchmarks.stores import NOW, demo_retailer
    from resources.operations import Operations
    from resources.sql_cache import remembered_project
    from resources.sync.facts import Difference, guard_fact, read_difference, write_difference
    from resources.sync.planning import plan_channel
    from resources.warehouse import Warehouse
    from resources.warehouse.build import ModelBuilder

    states = Path(given["states"])
    retailer, project = demo_retailer(), remembered_project(ROOT / "dbt_like_sql", states / "cache")
    # a run looks through the whole project once, whatever the rows: it is kept from here on
    looked_through = len(project.followed_columns) + len(project.read_models)
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        shutil.copy(states / "warehouse.duckdb", folder)
        warehouse = Warehouse(folder)
        operations = Operations.open(f"sqlite:///{folder / 'operations.sqlite'}", data_dir=folder)
        with warehouse.writer(purpose="the run before") as con:
            ModelBuilder(con, project).close()
        stages = {}
        with cpu_clock() as spent:
            with warehouse.writer(purpose="the benchmark") as con:
                builder = ModelBuilder(con, project)
                for model in _MODELS:
                    before = spent()
                    builder.build(project.models[model])
                    stages[f"{model} CPU-s"] = round(spent() - before, 2)
                builder.close()
                rows = con.execute(_ROWS, [CHANNEL]).pl()
                facts = [guard_fact(row) for row in con.execute(_FACTS).pl().iter_rows(named=True)]
            before = spent()
            write_difference(
                folder, Difference(CHANNEL, SYSTEM, "benchmark", NOW, rows, {fact.subject: fact for fact in facts})
            )
            difference = read_difference(folder, CHANNEL)
            plans = plan_channel(operations, retailer, difference, run_id="benchmark", now=NOW, subjects=("stock",))
            stages["export and plan CPU-s"] = round(spent() - before, 2)
            told = {
                "different": rows.height,
                "followed": looked_through,
                "plan lines": sum(len(plan.lines) for plan in plans),
                "compared with": sum(fact.observed_qty for fact in facts),
                **stages,
            }
            outcome = Outcome(given["listings"], spent(), told)
        operations.close()
    return outcome


def main() -> None:
    """Run it from the command line."""
    parser = common_arguments(str(__doc__))
    parser.add_argument("--listings", type=int, default=200_000, help="listings of the channel (default 200,000)")
    parser.add_argument("--changed-share", type=float, default=0.001, help="share that differs (default 0.001)")
    arguments = parser.parse_args()
    if run_job_if_asked(arguments, job):
        return
    with tempfile.TemporaryDirectory() as folder:
        write_states(Path(folder), arguments.listings, changed_share=arguments.changed_share, seed=arguments.seed)
        size = f"2 x {arguments.listings:,} rows, {arguments.changed_share:.2%} differ"
        given = {"states": folder, "listings": arguments.listings}
        goals = [Goal("work_rows_per_cpu_s", 5_000_000, at_least=True, applies=arguments.listings >= 5_000_000)]
        pandas = Baseline("pandas merge, no plan", "pandas_diff.py", "files", given)
        line = measure_beside(arguments, Line("plan_diff", size, (), goals), MODULE, given, pandas)
    report([line], as_json=arguments.json)


if __name__ == "__main__":
    main()
