"""The ERP as a correspondent: it takes ORDERS files from its folder, books or refuses each order, and answers with ORDRSP files.

It reads the files by its own rules and never books an order twice: one that comes again is answered as booked, "déjà reçue", and noted
in `duplicates`, which is how a test proves that none is sent twice. Stock and prices are `drops.erp`'s business.
"""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import polars as pl

from sandbox.drops.erp import ERP, stock_frame
from sandbox.drops.files import DropFile, csv_file, file_name
from sandbox.ledger import Ledger, Units, items_by_sku
from sandbox.world import World
from sandbox.world.places import LOCATIONS, PARIS

ALREADY = "déjà reçue"
_NAME = re.compile(r"ORDERS_(\d{6})_\d{14}\.xml")
_NUMBER = re.compile(r".*_(\d{6})_\d{14}\.\w+")

Decision = Literal["booked", "refused", "duplicate"]


@dataclass(frozen=True)
class ErpLine:
    """A line as the ERP read it."""

    line_id: str
    sku: str
    quantity: int


@dataclass(frozen=True)
class ErpOrder:
    """An order as the ERP read it, and the file it came in."""

    channel_code: str
    number: str
    location_code: str
    country_code: str
    lines: tuple[ErpLine, ...]
    file: str

    @property
    def key(self) -> tuple[str, str]:
        """What the ERP knows it by."""
        return self.channel_code, self.number


@dataclass(frozen=True)
class ErpAnswer:
    """What the ERP decided on one order."""

    order: ErpOrder
    decision: Decision
    reason: str
    at: datetime


@dataclass(frozen=True)
class RefusalRules:
    """What the ERP refuses besides articles that it does not know.

    ``every_nth``: each n-th new order, for no better reason; 0 for none. ``blocked_customers``: (channel, number) of orders whose
    customer is blocked; ``blocked_skus``: articles that may not be sold; ``closed_countries``: where nothing is delivered.
    """

    every_nth: int = 0
    blocked_customers: Collection[tuple[str, str]] = ()
    blocked_skus: Collection[str] = ()
    closed_countries: Collection[str] = ()


@dataclass
class SandboxErp:
    """An ERP at work. ``inbox``: where ORDERS files come in; ``outbox``: where its own files go, its earlier ones included.

    ``booked``: every order it knows; ``duplicates``: orders that came again although they were booked; ``unreadable``: (file, reason).
    """

    world: World
    inbox: Path
    outbox: Path
    clock: Callable[[], datetime]
    ledger: Ledger
    rules: RefusalRules = RefusalRules()
    booked: dict[tuple[str, str], ErpOrder | None] = field(default_factory=dict)
    duplicates: list[ErpOrder] = field(default_factory=list)
    unreadable: list[tuple[str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """What the world's ERP has booked is booked."""
        self._items: Mapping[str, int] = items_by_sku(self.world)
        self._new = 0
        self._answered_at: dict[tuple[str, str], datetime] = {}
        self._lock = threading.Lock()
        self.inbox.mkdir(parents=True, exist_ok=True)
        known = self.world.stock.acknowledgements.filter("is_accepted")
        self.booked.update(dict.fromkeys(zip(known["channel"].to_list(), known["number"].to_list(), strict=True)))

    # -- orders --------------------------------------------------------------------------------------------------------

    def answer(self) -> list[ErpAnswer]:
        """Take every whole file from the inbox, decide on its orders, and answer all of them in one ORDRSP file."""
        with self._lock:
            answers: list[ErpAnswer] = []
            for marker in sorted(self.inbox.glob("*.xml.done")):
                path = marker.with_suffix("")
                try:
                    orders = self._read(path, marker)
                except (ValueError, OSError, ET.ParseError) as error:
                    self.unreadable.append((path.name, str(error)))
                    orders = []
                answers += [self._decide(order) for order in orders]
                self._put_away(path, marker)
            if answers:
                self._write_answers(answers)
            return answers

    def _read(self, path: Path, marker: Path) -> list[ErpOrder]:
        """The orders of one file. Raises ValueError when it is not what the marker, its name or its own count say."""
        data = path.read_bytes()
        announced = json.loads(marker.read_text(encoding="utf-8"))
        named = _NAME.fullmatch(path.name)
        if hashlib.sha256(data).hexdigest() != announced["sha256"]:
            raise ValueError("somme de contrôle différente de celle du marqueur")
        root = ET.fromstring(data)  # noqa: S314  the sandbox reads what the project wrote
        if root.tag != "commandes" or root.get("version") != "1":
            raise ValueError(f"document inattendu : {root.tag} version {root.get('version')}")
        if named is None or int(named[1]) != int(_needed(root, "sequence")):
            raise ValueError("le numéro du fichier n'est pas celui du document")
        orders = [_order(element, path.name) for element in root]
        if not len(orders) == int(_needed(root, "nombre")) == announced["rows"]:
            raise ValueError(f"{len(orders)} commandes, {root.get('nombre')} annoncées")
        return orders

    def _decide(self, order: ErpOrder) -> ErpAnswer:
        now = self.clock().replace(microsecond=0)
        # Two answers to one order never bear the same second: the later one must be seen to be later.
        last = self._answered_at.get(order.key)
        at = now if last is None else max(now, last + timedelta(seconds=1))
        self._answered_at[order.key] = at
        if order.key in self.booked:
            self.duplicates.append(order)
            return ErpAnswer(order, "duplicate", ALREADY, at)
        self._new += 1
        reason = self._refusal(order)
        if reason:
            return ErpAnswer(order, "refused", reason, at)
        self.booked[order.key] = order
        self.ledger.commit(order.key, self.units(order))
        return ErpAnswer(order, "booked", "", at)

    def _refusal(self, order: ErpOrder) -> str:
        rules = self.rules
        for line in order.lines:
            if line.sku not in self._items:
                return f"Article inconnu : {line.sku}"
            if line.sku in rules.blocked_skus:
                return f"Article bloqué à la vente : {line.sku}"
        if order.location_code not in LOCATIONS:
            return f"Dépôt inconnu : {order.location_code}"
        if order.key in rules.blocked_customers:
            return "Client bloqué"
        if order.country_code in rules.closed_countries:
            return f"Pays non desservi : {order.country_code}"
        if rules.every_nth and self._new % rules.every_nth == 0:
            return "Plafond d'encours dépassé"
        return ""

    def answered_at(self, key: tuple[str, str]) -> datetime | None:
        """When it last answered an order; None for one that it never got."""
        return self._answered_at.get(key)

    def units(self, order: ErpOrder) -> list[Units]:
        """The articles of an order at the place it leaves."""
        return [Units(order.location_code, self._items[line.sku], line.quantity) for line in order.lines]

    def _put_away(self, path: Path, marker: Path) -> None:
        """A file that was read is taken out of the folder, as ERPs do."""
        archive = self.inbox / "archive"
        archive.mkdir(exist_ok=True)
        for taken in (path, marker):
            if taken.exists():
                taken.rename(archive / taken.name)

    # -- files ---------------------------------------------------------------------------------------------------------

    def _write_answers(self, answers: list[ErpAnswer]) -> None:
        frame = pl.DataFrame(
            {
                "canal": [answer.order.channel_code for answer in answers],
                "commande": [answer.order.number for answer in answers],
                "date": [f"{answer.at.astimezone(ZoneInfo(PARIS)):%d/%m/%Y %H:%M:%S}" for answer in answers],
                "statut": ["KO" if answer.decision == "refused" else "OK" for answer in answers],
                "motif": [_in_latin_1(answer.reason) or None for answer in answers],
            }
        )
        # One order may be answered twice in a run of files; the feed's key allows it once a file: the last answer stands.
        self._drop(
            "ORDRSP", "erp_acknowledgements", frame.unique(["canal", "commande"], keep="last", maintain_order=True)
        )

    def write_stock(self) -> DropFile:
        """The whole stock as it is now: what was sold, promised and shipped since the last file is in it."""
        with self._lock:
            levels = self.ledger.levels(self.clock())
            return self._drop(
                "INVRPT", "erp_stock", stock_frame(levels), control=("stock", str(levels["on_hand"].sum()))
            )

    def _drop(self, prefix: str, feed: str, frame: pl.DataFrame, *, control: tuple[str, str] | None = None) -> DropFile:
        name = file_name(prefix, next_number(self.outbox, prefix, "csv"), self.clock(), "csv")
        file = csv_file(frame, ERP, system=self.outbox.name, feed=feed, name=name, control=control)
        file.write(self.outbox.parent)
        return file


def next_number(folder: Path, prefix: str, extension: str) -> int:
    """The number after the last file of a prefix (its scope included) in a folder."""
    numbers = [
        int(match[1])
        for path in folder.glob(f"{prefix}_*.{extension}")
        if (match := _NUMBER.fullmatch(path.name)) is not None
    ]
    return max(numbers, default=0) + 1


def _order(element: ET.Element, file: str) -> ErpOrder:
    lines = tuple(
        ErpLine(_needed(line, "id"), _text(line, "sku"), int(_text(line, "quantite")))
        for line in element.iterfind("lignes/ligne")
    )
    if not lines:
        raise ValueError(f"commande {element.get('numero')} sans ligne")
    return ErpOrder(
        _needed(element, "canal"),
        _needed(element, "numero"),
        _text(element, "depot"),
        _text(element, "pays"),
        lines,
        file,
    )


def _needed(element: ET.Element, name: str) -> str:
    value = element.get(name)
    if not value:
        raise ValueError(f"{element.tag} sans {name}")
    return value


def _text(element: ET.Element, tag: str) -> str:
    value = element.findtext(tag)
    if not value:
        raise ValueError(f"{element.tag} sans {tag}")
    return value


def _in_latin_1(text: str) -> str:
    return text.encode("latin-1", "replace").decode("latin-1")
