"""What became of a write, out of what was found, what was sent and what a reading shows afterwards."""

from __future__ import annotations

import json
from collections.abc import Callable

from resources.connectors.prestashop.write_rows import Fate
from resources.connectors.sdk.writing import JsonValue, Write, WriteOutcome, WriteResult
from resources.errors import EtalonError, RetryableError

Same = Callable[[JsonValue, JsonValue], bool]


def refused(write: Write, reason: str) -> WriteResult:
    """Nothing was read of it, and nothing sent."""
    return WriteResult(write.key, "refused", reason=reason)


def refused_as_found(write: Write, found: JsonValue, reason: str) -> WriteResult:
    """It was read, and cannot be written."""
    return WriteResult(write.key, "refused", found=found, is_found=True, reason=reason)


def failed(write: Write, error: EtalonError, found: JsonValue = None, *, is_found: bool = False) -> WriteResult:
    """It could not be read, or was not tried: by the kind of the error it may be tried later."""
    is_later = isinstance(error, RetryableError)
    return WriteResult(
        write.key,
        "retry" if is_later else "refused",
        found=found,
        is_found=is_found,
        reason=words(error),
        request_id=error.where.request_id,
        retry_after_s=error.retry_after_s if isinstance(error, RetryableError) else None,
    )


def left_alone(write: Write, found: JsonValue, is_wanted: Same, is_expected: Same) -> WriteResult | None:
    """The result when nothing needs or may be sent: it is as wanted, or it moved since the plan. None: to be written."""
    if is_wanted(found, write.after):
        return WriteResult(write.key, "unchanged", found=found, is_found=True)
    if not is_expected(found, write.before):
        reason = f"it shows {shown(found)}, the plan was made on {shown(write.before)}"
        return WriteResult(write.key, "moved", found=found, is_found=True, reason=reason)
    return None


def written(write: Write, found: JsonValue, fate: Fate, read_back: JsonValue, is_wanted: Same) -> WriteResult:
    """The result of a write that was sent and read back: what the reading shows decides, whatever the answer said."""
    outcome: WriteOutcome = "applied"
    reason, wait = "", None
    if not is_wanted(read_back, write.after):
        error = fate.error
        if error is None:
            outcome = "not_kept"
            reason = f"the shop said yes and shows {shown(read_back)} in place of {shown(write.after)}"
        else:
            outcome = "retry" if isinstance(error, RetryableError) else "refused"
            reason = words(error)
            wait = error.retry_after_s if isinstance(error, RetryableError) else None
    return WriteResult(
        write.key,
        outcome,
        found=found,
        read_back=read_back,
        is_found=True,
        is_read_back=True,
        reason=reason,
        request_id=fate.request_id,
        retry_after_s=wait,
    )


def not_read_back(write: Write, found: JsonValue, fate: Fate, error: EtalonError) -> WriteResult:
    """Sent, and not to be read afterwards: the next try finds what is there."""
    reason = f"sent, and not read back: {words(fate.error or error)}"
    first = fate.error or error
    wait = first.retry_after_s if isinstance(first, RetryableError) else None
    request_id = fate.request_id or error.where.request_id
    return WriteResult(
        write.key, "retry", found=found, is_found=True, reason=reason, request_id=request_id, retry_after_s=wait
    )


def words(error: EtalonError) -> str:
    """An error as the reason of a result: what the system said, and what to do."""
    return f"{error.what} -> {error.action}" if error.action else error.what


def shown(value: JsonValue) -> str:
    """A value in a reason."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


def same(found: JsonValue, wanted: JsonValue) -> bool:
    """Equal, and of one type: 1 is not true."""
    return type(found) is type(wanted) and found == wanted
