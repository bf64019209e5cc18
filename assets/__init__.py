"""What exists: assets and checks built by pure functions from retailer.yaml, the connectors and dbt_like_sql."""
