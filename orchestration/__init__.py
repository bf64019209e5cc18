"""When and with what: definitions, jobs, schedules, sensors, the Dagster instance and the `etalon` command line."""
