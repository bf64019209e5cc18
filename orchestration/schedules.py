"""When the jobs run by the clock. Under `etalon up` they start running; elsewhere a person turns them on once the systems answer."""

from __future__ import annotations

import dagster as dg

from orchestration.housekeeping import HOUSEKEEPING
from orchestration.jobs import HOURLY_INCREMENTAL, NIGHTLY_FULL
from resources.home_zone import home_time_zone
from resources.retailer import Retailer


def schedules(retailer: Retailer, *, is_running: bool = False) -> list[dg.ScheduleDefinition]:
    """One full reading in the night, one incremental an hour in the day, housekeeping once, in the zone of most of its locations."""
    status = dg.DefaultScheduleStatus.RUNNING if is_running else dg.DefaultScheduleStatus.STOPPED
    time_zone = home_time_zone(retailer)
    return [
        dg.ScheduleDefinition(
            name=NIGHTLY_FULL,
            job_name=NIGHTLY_FULL,
            cron_schedule="30 2 * * *",
            execution_timezone=time_zone,
            default_status=status,
            description="02:30: shops are quiet and the ERP's night exports are there.",
        ),
        dg.ScheduleDefinition(
            name=HOURLY_INCREMENTAL,
            job_name=HOURLY_INCREMENTAL,
            # Not in the hours of the full reading: it would only wait for the writer.
            cron_schedule="10 0-1,5-23 * * *",
            execution_timezone=time_zone,
            default_status=status,
            description="Ten past every hour but those of the full reading.",
        ),
        dg.ScheduleDefinition(
            name=HOUSEKEEPING,
            job_name=HOUSEKEEPING,
            cron_schedule="40 5 * * *",
            execution_timezone=time_zone,
            default_status=status,
            description="05:40: after the night's reading, before the shops open.",
        ),
    ]
