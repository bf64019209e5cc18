"""The outside world: connectors, contracts, storage, configuration. Nothing here knows Dagster's jobs."""
