"""From a difference to a channel that is right: planning, guards, applying, reverting. Nothing here opens DuckDB."""
