"""The demo's orders: those that the ERP does not know yet are sent, it answers, and the next reading takes the answers in.

Belongs here: the order of things. Showing them is the command's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from assets.progress import Progress
from assets.runtime import Runtime
from orchestration.runs import RunSummary, run_orders
from orchestration.sandbox_process import SandboxPlace
from resources.operations.order_messages import OrderMessage


@dataclass(frozen=True)
class DemoOrders:
    """What became of the orders. ``decisions``: the ERP's own (booked, refused, duplicate), in orders.

    ``taken_in``: the transmission after the answers were read, None before; ``states``: orders by state as we know them;
    ``refused``: those that are on the work list now, each with the ERP's words.
    """

    sending: RunSummary
    sent_qty: int
    decisions: Mapping[str, int]
    taken_in: RunSummary | None = None
    states: Mapping[str, int] | None = None
    refused: tuple[OrderMessage, ...] = ()

    @property
    def is_good(self) -> bool:
        """Every order went out once, and what we know of it is what the ERP decided."""
        if self.taken_in is None or self.states is None:
            return False
        return (
            self.sending.is_good
            and self.taken_in.is_good
            and self.decisions.get("duplicate", 0) == 0
            and sum(self.decisions.values()) == self.sent_qty
            and self.states.get("acknowledged", 0) == self.decisions.get("booked", 0)
            and self.states.get("refused", 0) == self.decisions.get("refused", 0)
            and self.states.get("sent", 0) == 0
        )


def send_orders(runtime: Runtime, place: SandboxPlace) -> DemoOrders:
    """Send what waits, and let the ERP answer. The next reading brings its answers; then call :func:`take_answers`."""
    runtime.report(Progress("orders", "to the ERP"))
    sending = run_orders(runtime)
    sent = _states(runtime).get("sent", 0)
    answers = place.ask("erp_answers")
    return DemoOrders(sending, sent, Counter(answer["decision"] for answer in answers))


def take_answers(runtime: Runtime, orders: DemoOrders) -> DemoOrders:
    """Take in what the last reading brought of the ERP's answers; nothing is sent again."""
    runtime.report(Progress("orders", "answers of the ERP"))
    taken_in = run_orders(runtime)
    refused = tuple(runtime.operations.order_messages.select(state="refused"))
    return DemoOrders(orders.sending, orders.sent_qty, orders.decisions, taken_in, _states(runtime), refused)


def _states(runtime: Runtime) -> dict[str, int]:
    states: Counter[str] = Counter()
    for (_, state), quantity in runtime.operations.order_messages.counts().items():
        states[state] += quantity
    return dict(states)
