"""Reading a secret out of a declared system, whatever wraps it. Nothing here prints one."""

from __future__ import annotations

from pydantic import SecretStr


def revealed(secret: SecretStr | str) -> str:
    """The text of a secret; call it only where the text is used."""
    return secret.get_secret_value() if isinstance(secret, SecretStr) else secret
