"""An outgoing message as it is declared in messages/<message>.yml, typed and checked. docs/orders.md explains every key.

Making the document does not belong here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from resources.errors import ConfigurationError, Where

MESSAGES_DIR = Path(__file__).resolve().parent / "messages"


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CodeField(_Declared):
    """A code or a text as it is."""

    type: Literal["code", "text"]
    source: str


class IntegerField(_Declared):
    """A whole number."""

    type: Literal["integer"]
    source: str


class MoneyField(_Declared):
    """An amount of minor units, written in major units with two decimals and a point."""

    type: Literal["money"]
    source: str


class InstantField(_Declared):
    """An instant, written in UTC as 2026-05-18T10:00:00Z."""

    type: Literal["instant"]
    source: str


class WordsField(_Declared):
    """A code of ours and what the system calls it. A code without a word fails the order."""

    type: Literal["words"]
    source: str
    words: dict[str, str]


OutField = Annotated[
    CodeField | IntegerField | MoneyField | InstantField | WordsField,
    Field(discriminator="type"),
]


class Lines(_Declared):
    """The nested list of lines: ``path`` holds them, each is a ``row``."""

    path: str
    row: str
    fields: dict[str, OutField]


class Sums(_Declared):
    """What an order must add up to: ``total`` = sum of ``lines`` over the lines + sum of ``plus`` - sum of ``minus``."""

    total: str
    lines: tuple[str, ...]
    plus: tuple[str, ...] = ()
    minus: tuple[str, ...] = ()


class OutgoingMessage(_Declared):
    """One kind of file that goes out.

    ``prefix``, ``extension``: files are named `<prefix>_<6-digit sequence>_<yyyymmddHHMMSS>.<extension>`, in UTC.
    ``root``, ``row``: tags of the document and of one order in it; ``xsd``: the schema beside the declaration; ``version``: told by
    the root. ``fields``: tags (or `@attribute`) in the order of the schema; a null leaves its tag out.
    ``max_orders``: orders in one file.
    """

    message: str
    description: str
    prefix: str
    extension: Literal["xml"]
    xsd: str
    version: str
    root: str
    row: str
    max_orders: int = Field(ge=1)
    fields: dict[str, OutField]
    lines: Lines
    adds_up: Sums | None = None
    folder: Path = Field(default=MESSAGES_DIR, exclude=True)

    @property
    def xsd_path(self) -> Path:
        """The schema's file."""
        return self.folder / self.xsd

    @property
    def header_columns(self) -> frozenset[str]:
        """Columns that an order must bring."""
        sums = self.adds_up
        return frozenset(field.source for field in self.fields.values()) | (
            frozenset((sums.total, *sums.plus, *sums.minus)) if sums else frozenset()
        )

    @property
    def line_columns(self) -> frozenset[str]:
        """Columns that a line must bring."""
        return frozenset(field.source for field in self.lines.fields.values()) | (
            frozenset(self.adds_up.lines) if self.adds_up else frozenset()
        )

    @model_validator(mode="after")
    def _holds_together(self) -> OutgoingMessage:
        if self.lines.path in self.fields:
            raise ValueError(f"lines.path: {self.lines.path} is a field of the order too")
        return self


def load_message(path: Path) -> OutgoingMessage:
    """One declaration. Raises ConfigurationError that names the file, the place in it and what was expected."""
    where = Where(file=path.name)
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigurationError(f"not readable YAML: {error}", where=where) from error
    try:
        message = OutgoingMessage.model_validate({**(document or {}), "folder": path.parent})
    except ValidationError as error:
        told = [f"{'.'.join(str(part) for part in e['loc']) or 'message'}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError("; ".join(told), where=where, action="correct the declaration") from error
    if message.message != path.stem:
        raise ConfigurationError(
            f"declares the message {message.message}", where=where, action=f"name it {message.message}.yml"
        )
    if not message.xsd_path.is_file():
        raise ConfigurationError(f"its schema {message.xsd} is not there", where=where, action="put it beside")
    return message


@cache
def load_messages(folder: Path = MESSAGES_DIR) -> dict[str, OutgoingMessage]:
    """Every declaration of a folder by message name."""
    return {path.stem: load_message(path) for path in sorted(folder.glob("*.yml"))}
