"""Assets of what leaves Étalon for readers: the database that analysts open and the report page.

Belongs here: the list of publication steps. What they do is in resources (warehouse, report).
"""

# No `from __future__ import annotations`: Dagster reads the annotations of steps as they are.

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets.freshness import FRESHNESS
from assets.names import BI, PUBLICATION, WRITER_POOL, model_key
from assets.progress import Progress
from assets.runtime import Runtime
from assets.sql_models import OWNER, markdown_table
from resources.home_zone import home_time_zone
from resources.settings import SPARK

PUBLISHED_SCHEMAS = ("kpis", "marts")


@dataclass(frozen=True)
class PublicationStep:
    """One thing that is published. ``publish`` does it and returns what to show of it as metadata."""

    name: str
    description: str
    kinds: frozenset[str]
    after: tuple[dg.AssetKey, ...]
    publish: Callable[[Runtime], Mapping[str, Any]]
    pool: str | None = None


def publication_steps(runtime: Runtime) -> tuple[PublicationStep, ...]:
    """Everything that is published, in order. A new publication is one more entry."""
    models = tuple(
        model_key(*name.split("."))
        for name, model in runtime.project.models.items()
        if model.schema in PUBLISHED_SCHEMAS
    )
    return (
        PublicationStep(
            name="bi",
            description="`published/bi.duckdb`: KPIs and marts in one file, swapped in whole. Readers never block the writer and are "
            "never blocked; any DuckDB since 1.2 opens it.",
            kinds=frozenset({"duckdb"}),
            after=models,
            publish=_publish_bi,
            pool=WRITER_POOL,
        ),
        PublicationStep(
            name="report",
            description="`published/report.html`: one page with the KPIs, their trend and the top of each work list. Works offline.",
            kinds=frozenset({"html"}),
            after=(BI,),
            publish=_publish_report,
        ),
    )


def publication_assets(runtime: Runtime, steps: Sequence[PublicationStep] | None = None) -> list[dg.AssetsDefinition]:
    """One asset per publication step."""
    return [_asset(runtime, step) for step in (publication_steps(runtime) if steps is None else steps)]


def _asset(runtime: Runtime, step: PublicationStep) -> dg.AssetsDefinition:
    @dg.multi_asset(
        name=f"publish_{step.name}",
        specs=[
            dg.AssetSpec(
                [PUBLICATION, step.name],
                deps=step.after,
                group_name=PUBLICATION,
                description=step.description,
                kinds=set(step.kinds),
                owners=[OWNER],
                freshness_policy=FRESHNESS,
            )
        ],
        pool=step.pool,
        description=step.description,
    )
    def publish() -> Iterator[dg.MaterializeResult[None]]:
        runtime.report(Progress(f"publish_{step.name}", "", 0, 1))
        yield dg.MaterializeResult(metadata=step.publish(runtime))

    return publish


def _publish_bi(runtime: Runtime) -> Mapping[str, Any]:
    stay = runtime.settings.spark_stay if runtime.settings.engine == SPARK else ()
    kpi_tables = [
        model.name.split(".")[1]
        for model in runtime.project.models.values()
        if model.schema == "kpis" and model.name not in stay
    ]
    keys = {name.split(".")[1]: key for name, key in runtime.project.published_keys.items()}
    published = runtime.warehouse.publish(kpi_tables=kpi_tables, keys=keys)
    return {
        "path": dg.MetadataValue.path(str(published.path)),
        "bytes": published.size,
        "seconds": round(published.seconds, 3),
        "tables": dg.MetadataValue.md(markdown_table(("table", "rows"), sorted(published.tables.items()))),
        "dagster/row_count": sum(published.tables.values()),
    }


def _publish_report(runtime: Runtime) -> Mapping[str, Any]:
    # Charts take a third of a second to import, and most runs (syncs, sensors, hints) draw none.
    from resources.report import build_report

    path = build_report(
        runtime.settings.bi_path,
        runtime.settings.report_path,
        time_zone=home_time_zone(runtime.retailer),
        cache_dir=runtime.settings.data_dir / "cache",
    )
    return {
        "path": dg.MetadataValue.path(str(path)),
        # Browsers refuse a file link on an http page: `etalon ui` serves the folder.
        "open": dg.MetadataValue.url(f"{runtime.settings.report_url}/{path.name}"),
        "bytes": path.stat().st_size,
    }
