"""A feed as it is declared in resources/feeds/<feed>.yml, typed and checked. docs/feeds.md explains every key.

Reading files and mapping rows do not belong here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from resources.contracts.entity import entities
from resources.errors import ConfigurationError, Where

FEEDS_DIR = Path(__file__).resolve().parents[2] / "feeds"


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class TextColumn(_Declared):
    """Text, trimmed; empty is null."""

    type: Literal["text", "code"]


class IntegerColumn(_Declared):
    """A whole number."""

    type: Literal["integer"]


class AmountColumn(_Declared):
    """Money in major units (`12,90`) or a percentage (`20,00`): becomes an integer of hundredths.

    ``decimal``: the decimal mark, when it is not the feed's.
    """

    type: Literal["money", "rate"]
    decimal: Literal[",", "."] | None = None


class InstantColumn(_Declared):
    """A date and time: ``format`` as in strftime, read in the system's zone; `iso`: ISO 8601 with Z or an offset."""

    type: Literal["instant"]
    format: str = "iso"


class FlagColumn(_Declared):
    """Yes or no, by the words the source uses."""

    type: Literal["flag"]
    yes: tuple[str, ...]
    no: tuple[str, ...]


class WordsColumn(_Declared):
    """A code of the source and what we call it."""

    type: Literal["words"]
    words: dict[str, str]


class GtinColumn(_Declared):
    """A GTIN (GS1 General Specifications, 7.9): 8, 12, 13 or 14 digits, and a right check digit unless that is not asked."""

    type: Literal["gtin"]
    check_digit: bool = True


class PersonalColumn(_Declared):
    """A personal value: becomes its token, and goes to the table of personal values."""

    type: Literal["email", "phone", "name"]


Column = Annotated[
    TextColumn | IntegerColumn | AmountColumn | InstantColumn | FlagColumn | WordsColumn | GtinColumn | PersonalColumn,
    Field(discriminator="type"),
]


class Constant(_Declared):
    """The same value in every row."""

    constant: str | int | bool


class Sql(_Declared):
    """A polars SQL expression over the typed columns."""

    sql: str


class NetOfVat(_Declared):
    """An amount without VAT, rounded half up: [amount with VAT, rate in basis points]."""

    net_of_vat: tuple[str, str]


class Sum(_Declared):
    """In a grouped entity: the sum of a column over the group, plus columns that repeat in each of its rows."""

    sum: str
    plus: tuple[str, ...] = ()


Source = str | Constant | Sql | NetOfVat | Sum | None
"""Where a column's value comes from: a source column by its name, or one of the above; null when the source has nothing."""


class Child(_Declared):
    """A nested list: ``path`` from the row to its items. ``computed``: as for the feed, item by item."""

    path: str
    columns: dict[str, Column]
    computed: dict[str, Sql | NetOfVat] = {}


class EntityMapping(_Declared):
    """How rows become rows of one canonical entity.

    ``rows``: `root`, or the name of a nested list. ``group_by``: source columns; one row per group, other columns take
    the group's first value. ``where``: a SQL condition that rows must meet.
    """

    rows: str = "root"
    group_by: tuple[str, ...] = ()
    where: str | None = None
    columns: dict[str, Source]


class CsvFormat(_Declared):
    """Dialect of a CSV file. ``trailer``: mark of the last line `<mark>;<rows>;<control total>`, when there is one.

    ``ends_with_newline``: a last line that is not ended was cut short and is refused.
    """

    kind: Literal["csv"]
    delimiter: str = Field(default=";", min_length=1, max_length=1)
    quote: str | None = Field(default='"', min_length=1, max_length=1)
    encoding: Literal["utf-8", "latin-1"] = "utf-8"
    trailer: str | None = None
    ends_with_newline: bool = True


class JsonlFormat(_Declared):
    """One JSON object per line, UTF-8."""

    kind: Literal["jsonl"]


class JsonFormat(_Declared):
    """One JSON document, UTF-8. ``rows``: its list of rows; ``count``: its number that tells how many there are."""

    kind: Literal["json"]
    rows: str
    count: str | None = None


class XmlFormat(_Declared):
    """An XML document. ``row``: tag of the rows under the root; ``xsd``: schema beside the declaration.

    ``count``: attribute of the root that tells how many rows there are. Paths of columns: `@attribute`, `tag`, `tag/@attribute`.
    """

    kind: Literal["xml"]
    row: str
    xsd: str
    count: str | None = None


Format = Annotated[CsvFormat | JsonlFormat | JsonFormat | XmlFormat, Field(discriminator="kind")]


class Feed(_Declared):
    """One feed: files that a system drops, how they are read, and what they become.

    ``prefix``, ``extension``: files are named `<prefix>[_<scope>]_<6-digit sequence>_<yyyymmddHHMMSS>.<extension>`; sequences
    run per prefix, or per prefix and scope when ``has_scope``.
    ``reading``: `full` (each file is the whole state) or `incremental`.
    ``control``: column whose sum the source announces. ``key``: source columns that are unique in a file.
    ``computed``: further columns, worked out row by row in the order declared.
    The first entity is the one that counts: one source row is one of its rows.
    """

    feed: str
    description: str
    prefix: str
    extension: str
    has_scope: bool = False
    file_time_zone: str = "UTC"
    format: Format
    reading: Literal["full", "incremental"]
    pick_up: Literal["marker", "stable_size"] | None = None
    decimal: Literal[",", "."] = "."
    control: str | None = None
    key: tuple[str, ...] = Field(min_length=1)
    columns: dict[str, Column]
    children: dict[str, Child] = {}
    computed: dict[str, Sql | NetOfVat] = {}
    entities: dict[str, EntityMapping] = Field(min_length=1)
    blind_spots: tuple[str, ...] = ()

    @property
    def has_personal_data(self) -> bool:
        """Whether a column holds personal values: then what is received is stored sealed."""
        columns = [*self.columns.values(), *(c for child in self.children.values() for c in child.columns.values())]
        return any(isinstance(column, PersonalColumn) for column in columns)

    @model_validator(mode="after")
    def _holds_together(self) -> Feed:
        problems: list[str] = []
        for name in (*self.key, *((self.control,) if self.control else ())):
            if name not in self.columns:
                problems.append(f"key and control: {name} is not a declared column")
        for name in self.computed:
            if name in self.columns:
                problems.append(f"computed.{name}: a source column has this name")
        for child_name, child in self.children.items():
            for name in child.columns.keys() & self.columns.keys():
                problems.append(f"children.{child_name}.columns.{name}: the row itself has a column of this name")
        known = entities()
        for entity_name, mapping in self.entities.items():
            if entity_name not in known:
                problems.append(f"entities.{entity_name}: no such entity; there are {', '.join(sorted(known))}")
                continue
            if mapping.rows != "root" and mapping.rows not in self.children:
                problems.append(f"entities.{entity_name}.rows: {mapping.rows} is neither root nor a declared child")
            wanted = set(known[entity_name].columns)
            missing, extra = sorted(wanted - mapping.columns.keys()), sorted(mapping.columns.keys() - wanted)
            if missing:
                problems.append(
                    f"entities.{entity_name}.columns: {', '.join(missing)} not mapped; write `{missing[0]}: null` when the "
                    "source has nothing for it"
                )
            if extra:
                problems.append(f"entities.{entity_name}.columns: {', '.join(extra)} is not a column of this entity")
            visible = self._visible(mapping.rows)
            for column, source in mapping.columns.items():
                for name in _names(source):
                    if name not in visible:
                        problems.append(f"entities.{entity_name}.columns.{column}: {name} is not a declared column")
                if isinstance(source, Sum) and not mapping.group_by:
                    problems.append(f"entities.{entity_name}.columns.{column}: sum needs group_by")
            problems.extend(
                f"entities.{entity_name}.group_by: {name} is not a declared column"
                for name in mapping.group_by
                if name not in visible
            )
        if problems:
            raise ValueError("; ".join(problems))
        return self

    def _visible(self, rows: str) -> set[str]:
        names = {*self.columns, *self.computed}
        if rows in self.children:
            names |= self.children[rows].columns.keys() | self.children[rows].computed.keys()
        return names


def _names(source: Source) -> tuple[str, ...]:
    match source:
        case str():
            return (source,)
        case NetOfVat(net_of_vat=names):
            return names
        case Sum(sum=name, plus=others):
            return (name, *others)
        case _:
            return ()


def load_feed(path: Path) -> Feed:
    """One declaration. Raises ConfigurationError that names the file, the place in it and what was expected."""
    where = Where(file=path.name)
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506  a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigurationError(f"not readable YAML: {error}", where=where) from error
    try:
        feed = Feed.model_validate(document)
    except ValidationError as error:
        told = [f"{'.'.join(str(part) for part in e['loc']) or 'feed'}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError("; ".join(told), where=where, action="correct the declaration") from error
    if feed.feed != path.stem:
        raise ConfigurationError(f"declares the feed {feed.feed}", where=where, action=f"name it {feed.feed}.yml")
    if isinstance(feed.format, XmlFormat) and not (path.parent / feed.format.xsd).is_file():
        raise ConfigurationError(f"its schema {feed.format.xsd} is not there", where=where, action="put it beside")
    return feed


@cache
def load_feeds(folder: Path = FEEDS_DIR) -> dict[str, Feed]:
    """Every declaration of a folder by feed name."""
    return {path.stem: load_feed(path) for path in sorted(folder.glob("*.yml"))}


class _StrictLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # libyaml's parser is ten times as fast
    """YAML where the same key twice is an error, and where words like O, N, yes and no stay the words they are."""


def _mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"{key} is there twice", key_node.start_mark)
        seen.add(key)
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
