"""`etalon worker`: the fast lane for stock, until it is told to stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType

from orchestration.cli.environment import open_runtime
from orchestration.cli.terminal import console
from orchestration.definitions import asset_impact
from orchestration.watch import watch_in_background
from orchestration.worker import Worker


def worker() -> None:
    """Change the shops' stock as soon as a till or a shop sells, until Ctrl-C or SIGTERM.

    It counts on the stock book of the last run, follows tickets, webhooks and shops, and writes through the outbox. Nothing is
    lost when it is killed: what it saw is in the operations store. It also looks for incidents every few seconds.

    \b
    Examples:
      etalon worker            follow every till and shop; `fast_lane` in retailer.yaml says how
      kill -TERM <pid>         it finishes what it has begun and ends
    """
    runtime = open_runtime()
    stop = threading.Event()

    def end(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    console.print(f"[bold]{runtime.retailer.identity.name}[/]: fast lane (Ctrl-C stops it)")
    watching = watch_in_background(runtime, lambda: asset_impact(runtime), stop)
    try:
        Worker(runtime, stop=stop, told=lambda text: console.print(text, highlight=False, markup=False)).run()
    finally:
        stop.set()
        watching.join(timeout=30)
    console.print("stopped")
