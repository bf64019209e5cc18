"""One file per kind of system. A connector maps its own payload to canonical rows; it knows neither Dagster nor DuckDB."""
