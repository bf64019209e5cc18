"""What a correct pipeline must find in a world: every KPI figure, exclusion and work list, worked out from the world's own columns.

A reading of docs/kpis.md of its own, kept apart from the pipeline's SQL. Each `truth_*` sibling settles one KPI.

`truth_of` gives, for `truth.json`:
- `kpi_value`: kpi_code, measure, period_kind, period_start_on, dimension_kind, dimension_code, numerator, denominator (null for sums and
  percentiles). Period `all` with every dimension; `day` and `month` with dimensions `all` and `channel`.
- `kpi_exclusion`: kpi_code, measure, dimension_kind, dimension_code, reason, excluded_qty.
- `worklists`: k1a, k1b, k2, k3a, k3b, k4: rows with natural keys (SKU and shop item ids for articles) and figures, sorted by their columns.
- `streams`: what each stream's extract must end as, for those that must not end `complete`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sandbox.world.truth_prices import price_truth
from sandbox.world.truth_returns import returns_truth
from sandbox.world.truth_rows import Verdict, as_json
from sandbox.world.truth_shipping import shipping_truth
from sandbox.world.truth_stock import stock_truth

if TYPE_CHECKING:
    from sandbox.world import World

PARTS: tuple[Callable[[World], Verdict], ...] = (stock_truth, shipping_truth, returns_truth, price_truth)


def truth_of(world: World) -> dict[str, Any]:
    """The truth of one world, ready for JSON."""
    verdicts = [part(world) for part in PARTS]
    worklists: dict[str, Any] = {}
    for verdict in verdicts:
        worklists.update({name: as_json(frame.sort(frame.columns)) for name, frame in verdict.worklists.items()})
    return {
        "seed": world.seed,
        "now": world.now.isoformat(),
        "kpi_value": [row for verdict in verdicts for row in as_json(verdict.values)],
        "kpi_exclusion": [row for verdict in verdicts for row in as_json(verdict.exclusions)],
        "worklists": worklists,
        "streams": [{"system": "shop_be", "stream": "customers", "outcome": "incomplete"}],
    }
