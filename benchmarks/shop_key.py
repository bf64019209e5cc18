"""The key of the shop that the extraction benchmark reads, apart from the shop: who reads it imports nothing of a server."""

from __future__ import annotations

KEY, SECRET = "ck_" + "5a" * 20, "cs_" + "5b" * 20
