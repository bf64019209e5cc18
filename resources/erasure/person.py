"""Who is to be erased: the tokens, values and numbers by which systems know one person. Nothing is changed here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import duckdb

from resources.errors import PermanentError, Where
from resources.privacy import (
    MINIMUM_PHONE_DIGITS,
    PersonalValue,
    Tokeniser,
    normalise_email,
    normalise_name,
    normalise_phone,
)

_CUSTOMER_KEYS = frozenset({"customer_id", "id_customer"})
_ORDER_KEYS = frozenset({"order_id", "id_order", "parent_id"})
_NO_DIGITS = re.compile(r"\D+")


class KeepsValues(Protocol):
    """What is asked of `resources.privacy.PiiStore`."""

    def get(self, token: str) -> PersonalValue | None:
        """The value behind a token."""
        ...


@dataclass(frozen=True)
class Person:
    """One person, as everything knows them.

    ``tokens``: of e-mails, phones and names that nobody else has; ``shared_tokens``: of a name or phone that another customer has
    too, so their values stay. ``customers`` and ``orders``: (system, external id). Values never show in ``repr``.
    """

    tokens: frozenset[str]
    shared_tokens: frozenset[str]
    customers: frozenset[tuple[str, str]]
    orders: frozenset[tuple[str, str]]
    emails: frozenset[str] = field(repr=False)
    phones: frozenset[str] = field(repr=False)
    names: frozenset[str] = field(repr=False)
    said: frozenset[str] = field(repr=False)
    """The same values as they were received, for a search that takes nothing for granted."""

    def has(self, row: Any, *, system_code: str, collection: str) -> bool:
        """Whether a received row is about this person: it holds their e-mail or phone, or one of their numbers in that system.

        ``collection``: what its own number counts in, such as `customers` or `orders`.
        """
        customers = {number for system, number in self.customers if system == system_code}
        orders = {number for system, number in self.orders if system == system_code}
        if isinstance(row, Mapping):
            own = str(row.get("id", ""))
            if (collection == "customers" and own in customers) or (collection == "orders" and own in orders):
                return True
            for key, value in row.items():
                if key in _CUSTOMER_KEYS and str(value) in customers:
                    return True
                if key in _ORDER_KEYS and str(value) in orders:
                    return True
        return any(self.is_told_by(text) for text in texts(row))

    def is_told_by(self, text: str) -> bool:
        """Whether a text holds an e-mail or a phone of theirs."""
        folded = text.casefold()
        if any(email in folded for email in self.emails):
            return True
        if not self.phones:
            return False
        digits = _NO_DIGITS.sub("", text)
        if len(digits) < MINIMUM_PHONE_DIGITS:  # most texts: no phone is that short
            return False
        return any(phone in digits for phone in self.phones) or normalise_phone(text) in self.phones


def texts(value: Any) -> Iterator[str]:
    """Every text inside a decoded payload."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts(inner)


def find_person(who: str, *, con: duckdb.DuckDBPyConnection, tokeniser: Tokeniser, values: KeepsValues) -> Person:
    """Find a person by e-mail, or by ``system:number`` of a customer. Reads the warehouse's canonical customers and orders.

    Raises PermanentError when ``who`` is neither or nobody is known by it.
    """
    email = normalise_email(who)
    if email is not None:
        token = tokeniser.email(email)
        emails, given = ({token} if token else set()), {email}
        customers: set[tuple[str, str]] = set()
    else:
        system, separator, number = who.partition(":")
        if not (separator and system and number):
            raise PermanentError(
                "neither an e-mail nor system:number",
                action="for example shop_fr:1204, as `etalon systems` names systems",
            )
        emails, given, customers = set(), set(), {(system, number)}
    phones: set[str] = set()
    names: set[str] = set()
    # An e-mail leads to customers, a customer to their e-mails, until nobody new is found.
    while True:
        found = con.execute(
            """select system_code, customer_external_id, email_token, phone_token, name_token from canonical.customer
            where list_contains(?, email_token) or list_contains(?, system_code || ':' || customer_external_id)""",
            [sorted(emails), sorted(":".join(pair) for pair in customers)],
        ).fetchall()
        grown = {(row[0], row[1]) for row in found}, {row[2] for row in found if row[2]}
        phones |= {row[3] for row in found if row[3]}
        names |= {row[4] for row in found if row[4]}
        if grown[0] <= customers and grown[1] <= emails:
            break
        customers |= grown[0]
        emails |= grown[1]
    orders = con.execute(
        """select system_code, order_external_id from canonical."order"
        where list_contains(?, email_token)
            or (customer_external_id is not null and list_contains(?, system_code || ':' || customer_external_id))""",
        [sorted(emails), sorted(":".join(pair) for pair in customers)],
    ).fetchall()
    kept = {token: value.value for token in emails | phones | names if (value := values.get(token)) is not None}
    if not found and not orders and not kept:
        raise PermanentError(
            "nobody is known by that",
            where=Where(field="CUSTOMER"),
            action="check the spelling; a person whom no reading brought yet is nowhere here",
        )
    shared = {
        row[0]
        for row in con.execute(
            """select distinct token from (
                select phone_token as token, system_code || ':' || customer_external_id as number from canonical.customer
                union all
                select name_token, system_code || ':' || customer_external_id from canonical.customer
            ) where list_contains(?, token) and not list_contains(?, number)""",
            [sorted(phones | names), sorted(":".join(pair) for pair in customers)],
        ).fetchall()
    }
    return Person(
        tokens=frozenset((emails | phones | names) - shared),
        shared_tokens=frozenset(shared),
        customers=frozenset(customers),
        orders=frozenset((system, number) for system, number in orders),
        emails=frozenset(
            given | {normal for token in emails if token in kept and (normal := normalise_email(kept[token]))}
        ),
        phones=frozenset(
            normal for token in phones - shared if token in kept and (normal := normalise_phone(kept[token]))
        ),
        names=frozenset(
            normal for token in names - shared if token in kept and (normal := normalise_name(kept[token]))
        ),
        said=frozenset(value for token, value in kept.items() if token not in shared),
    )
