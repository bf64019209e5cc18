"""The connectors' promises, checked on a shop of your own. Read only."""
