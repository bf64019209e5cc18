"""From what the shop answered and what it shows afterwards to the outcome of a write. Nothing here knows what was written."""

from __future__ import annotations

from resources.connectors.sdk.writing import JsonValue, Write, WriteOutcome, WriteResult
from resources.connectors.woocommerce.batch import Sent


def result(
    write: Write, outcome: WriteOutcome, *, found: JsonValue = None, is_found: bool = False, reason: str = ""
) -> WriteResult:
    """The result of a write for which nothing was sent."""
    return WriteResult(write.key, outcome, found=found, is_found=is_found, reason=reason)


def judged(
    write: Write,
    sent: Sent,
    *,
    found: JsonValue,
    read_back: JsonValue,
    is_read_back: bool,
    is_kept: bool,
    reason: str,
) -> WriteResult:
    """The result of a write that was sent. ``is_kept``: the reading afterwards shows what was wanted; ``reason``: what that reading tells.

    What the shop shows counts for more than its answer: an answer that was lost on the way may have been a yes.
    """
    outcome: WriteOutcome
    if sent.state == "refused":
        outcome, why = "refused", sent.reason
    elif sent.state == "later":
        outcome, why = "retry", sent.reason
    elif is_kept:
        outcome, why = (
            "applied",
            reason or (f"no whole answer came ({sent.reason}), but it is done" if sent.reason else ""),
        )
    elif sent.state == "accepted":
        outcome = "not_kept" if is_read_back or not reason else "retry"
        why = (
            reason
            if is_read_back
            else f"written, but not read back: {reason}"
            if reason
            else "it is gone since it was written"
        )
    else:
        outcome, why = "retry", f"{sent.reason}; {reason}" if reason else sent.reason
    return WriteResult(
        write.key,
        outcome,
        found=found,
        read_back=read_back,
        is_found=True,
        is_read_back=is_read_back,
        reason=why,
        request_id=sent.request_id,
        retry_after_s=sent.retry_after_s,
    )
