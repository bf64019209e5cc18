"""The fast lane for stock: what shops should show after a sale, worked out in memory from a snapshot of the warehouse.

`snapshot` is what the main job leaves behind, `events` are orders as they are seen, `book` puts both together by the rules of
referentials.unacknowledged_line and kpis.k1b_expected, `tickets` sees what tills write, `hinted` reads what shops hint at, and
`lane` decides what is written. Nothing here opens the warehouse, except `snapshot.export`, which the main job calls.
"""
