"""The errors Étalon raises, named by how one recovers from them.

EtalonError
├── RetryableError        the same call may work later: time-out, 429, 5xx, a dropped connection, a truncated body
├── PermanentError        the same call will never work: bad key, unknown route, refused value; a person must act
│   └── ConfigurationError    retailer.yaml or the environment is wrong: says the path in the file and what was expected
├── ExtractIncomplete     what was announced does not equal what was landed plus quarantined: the cursor stays
├── ContractBroken        a whole batch does not have the promised shape (missing column, wrong type): nothing of it is loaded
└── RowRejected           one row is refused; it goes to quarantine with its reason and the others go on

A message says what is wrong, where (system, stream, file, line, field) and what to do next. It never holds a secret.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Where:
    """The place an error comes from. Any part may be unknown."""

    system_code: str | None = None
    stream: str | None = None
    file: str | None = None
    line: int | None = None
    field: str | None = None
    request_id: str | None = None

    def __str__(self) -> str:
        parts = [
            ("system", self.system_code),
            ("stream", self.stream),
            ("file", self.file),
            ("line", self.line),
            ("field", self.field),
            ("request", self.request_id),
        ]
        return ", ".join(f"{name} {value}" for name, value in parts if value is not None)


class EtalonError(Exception):
    """Base of every error that Étalon raises on purpose.

    ``what`` is the fact, ``where`` the place, ``action`` what a person should do next.
    """

    def __init__(self, what: str, *, where: Where | None = None, action: str | None = None) -> None:
        self.what = what
        self.where = where or Where()
        self.action = action
        place = str(self.where)
        message = f"{place}: {what}" if place else what
        super().__init__(f"{message} -> {action}" if action else message)


class RetryableError(EtalonError):
    """The same call may work later. ``retry_after_s`` is the server's own wish, in seconds."""

    def __init__(
        self,
        what: str,
        *,
        where: Where | None = None,
        action: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(what, where=where, action=action)
        self.retry_after_s = retry_after_s


class PermanentError(EtalonError):
    """The same call will never work; a person must act."""


class ConfigurationError(PermanentError):
    """retailer.yaml or the environment is wrong."""


class ExtractIncomplete(EtalonError):
    """Announced is not landed plus quarantined: rows were lost on the way, so the cursor stays."""


class ContractBroken(EtalonError):
    """A whole batch does not have the promised shape; none of its rows can be trusted."""


class RowRejected(EtalonError):
    """One row is refused; it goes to quarantine with its reason."""
