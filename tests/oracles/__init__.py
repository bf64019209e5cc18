"""Naive oracles of the KPIs: plain Python over lists of rows, no SQL and no data frames.

Each `<kpi>.py` reads docs/kpis.md for itself; nothing in here knows the SQL models. `tables.py` says what a referential
table holds, `worlds.py` makes small random ones, `test_*.py` compare both readings exactly.
"""
