"""When the jobs run by the clock. They start stopped: a person turns them on once the systems answer."""

from __future__ import annotations

import dagster as dg

from orchestration.jobs import HOURLY_INCREMENTAL, NIGHTLY_FULL
from resources.home_zone import home_time_zone
from resources.retailer import Retailer


def schedules(retailer: Retailer) -> list[dg.ScheduleDefinition]:
    """One full reading in the night, one incremental an hour in the day, in the zone of most of its locations."""
    time_zone = home_time_zone(retailer)
    return [
        dg.ScheduleDefinition(
            name=NIGHTLY_FULL,
            job_name=NIGHTLY_FULL,
            cron_schedule="30 2 * * *",
            execution_timezone=time_zone,
            description="02:30: shops are quiet and the ERP's night exports are there.",
        ),
        dg.ScheduleDefinition(
            name=HOURLY_INCREMENTAL,
            job_name=HOURLY_INCREMENTAL,
            # Not in the hours of the full reading: it would only wait for the writer.
            cron_schedule="10 0-1,5-23 * * *",
            execution_timezone=time_zone,
            description="Ten past every hour but those of the full reading.",
        ),
    ]
