"""Names as they stand in a shop's URLs."""

from __future__ import annotations

import re
import unicodedata


def slug(text: str) -> str:
    """A name as it stands in a URL."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "p"
