"""When what the hourly job makes is too old: one policy for sources, KPIs, marts and publications."""

from datetime import timedelta

import dagster as dg

FRESHNESS = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=26), warn_window=timedelta(hours=3))
"""An hourly reading missed twice is worth a look; a whole night missed is a fault."""
