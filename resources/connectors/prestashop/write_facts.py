"""What must be known of a shop before anything is written to it; kept for some minutes, so that a single write costs few calls."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from zoneinfo import ZoneInfo

from resources.connectors.prestashop.client import PrestaShopClient
from resources.connectors.prestashop.facts import Notes, Shop, States, read_shop, read_shops, read_states
from resources.connectors.prestashop.price_facts import PriceFacts, read_price_facts
from resources.connectors.prestashop.scope import Scope, read_scope

T = TypeVar("T")
KEPT_FOR = timedelta(minutes=5)
_STREAM = "write"


class Kept(Generic[T]):
    """A value read when it is first asked for, and again when it is older than `KEPT_FOR`. Thread-safe."""

    def __init__(self, read: Callable[[datetime], T]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._held: tuple[datetime, T] | None = None

    def at(self, now: datetime) -> T:
        """The value; ``now`` tells its age."""
        with self._lock:
            if self._held is None or not timedelta(0) <= now - self._held[0] < KEPT_FOR:
                self._held = (now, self._read(now))
            return self._held[1]


@dataclass(frozen=True)
class Home:
    """The shop that is written to. ``shop_id`` None: which one cannot be told, the installation has one at most as far as is seen."""

    shop: Shop
    scope: Scope
    shop_id: int | None

    @property
    def is_one_of_several(self) -> bool:
        """Whether rows of all shops (id_shop 0) are not this shop's alone."""
        return self.scope.shop_id is not None


class WriteFacts:
    """Everything the write side knows of one shop."""

    def __init__(
        self,
        client: PrestaShopClient,
        *,
        system_code: str,
        channel_code: str,
        territory: str,
        zone: str,
        shop_id: int | None,
    ) -> None:
        self.client = client
        self.system_code = system_code
        self.zone = ZoneInfo(zone)
        self._channel_code = channel_code
        self._territory = territory
        self._shop_id = shop_id
        self._home = Kept(self._read_home)
        self._prices = Kept(self._read_prices)
        self._states = Kept(self._read_states)

    def home(self, now: datetime) -> Home:
        """The shop and its settings. Raises ConfigurationError when the installation has several shops and none is chosen."""
        return self._home.at(now)

    def prices(self, now: datetime) -> PriceFacts:
        """What prices depend on."""
        return self._prices.at(now)

    def states(self, now: datetime) -> States:
        """What the numbers of order states mean."""
        return self._states.at(now)

    def _read_home(self, _now: datetime) -> Home:
        notes = Notes()
        scope = read_scope(self.client, self._shop_id, self.system_code, _STREAM, notes)
        shop_id = self._shop_id
        if shop_id is None:
            shop_id = next((row.id for row in read_shops(self.client, _STREAM, notes)), None)
        return Home(read_shop(self.client, _STREAM, notes), scope, shop_id)

    def _read_prices(self, now: datetime) -> PriceFacts:
        home = self.home(now)
        return read_price_facts(
            self.client,
            home.shop,
            home.scope,
            Notes(),
            territory=self._territory,
            zone=self.zone.key,
            channel_code=self._channel_code,
            system_code=self.system_code,
            stream=_STREAM,
        )

    def _read_states(self, now: datetime) -> States:
        return read_states(self.client, self.home(now).shop, _STREAM)
