"""From a price that a buyer pays to the text that the shop must hold: the way back from the reading's own arithmetic.

Every candidate is proved with that arithmetic (`catalogue.gross_minor`): what is written is what will be read, or nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from resources.connectors.sdk.decode import MICRO_DIGITS
from resources.connectors.woocommerce.catalogue import gross_minor
from resources.connectors.woocommerce.facts import Terms

_PPM = 10**6


def stored_texts(
    prices: Sequence[tuple[int, str]], terms: Terms, exponent: int
) -> list[tuple[str | None, tuple[int, int]]]:
    """For each (minor units VAT included, tax class): the shop's text, None when no text gives it; and the prices just below and above.

    The shortest text with at least the shop's own decimals is taken. Where the shop rounds tax before it adds it, some prices exist for
    no text: 9.99 with 20 % is 9.98 or 10.00.
    """
    if terms.is_included:
        return [_included(minor, terms, exponent) for minor, _ in prices]
    candidates = [
        list(_candidates(minor, terms.rates_ppm.get(taxed_as, ()), terms, exponent)) for minor, taxed_as in prices
    ]
    amounts = [amount for several in candidates for amount, _ in several]
    classes = [taxed_as for (_, taxed_as), several in zip(prices, candidates, strict=True) for _ in several]
    grosses = iter(gross_minor(amounts, classes, terms, exponent))
    found: list[tuple[str | None, tuple[int, int]]] = []
    for (minor, _), several in zip(prices, candidates, strict=True):
        given = [(next(grosses), amount, digits) for amount, digits in several]
        text = next((_text(amount, digits) for gross, amount, digits in given if gross == minor), None)
        known = [gross for gross, _, _ in given if gross is not None]
        below = max((gross for gross in known if gross <= minor), default=minor)
        above = min((gross for gross in known if gross >= minor), default=minor)
        found.append((text, (below, above)))
    return found


def _included(minor: int, terms: Terms, exponent: int) -> tuple[str | None, tuple[int, int]]:
    lost = max(0, exponent - terms.price_decimals)
    step = int(10**lost)
    below = minor // step * step
    if below != minor:
        return None, (below, below + step)
    return _text(minor * int(10 ** (MICRO_DIGITS - exponent)), exponent), (minor, minor)


def _candidates(minor: int, rates: Sequence[int], terms: Terms, exponent: int) -> Iterator[tuple[int, int]]:
    """Prices without tax in 1e-8 of the unit, and their decimals: with few decimals first, each with its neighbours.

    With the shop's own decimals as many neighbours as its roundings, half a step for each rate and for the sum, can be off.
    """
    gross = minor * int(10 ** (MICRO_DIGITS - exponent))
    divisor = _PPM + sum(rates)
    fewest = min(terms.price_decimals, MICRO_DIGITS)
    for digits in range(fewest, MICRO_DIGITS + 1):
        step = int(10 ** (MICRO_DIGITS - digits))
        nearest = (gross * _PPM * 2 + divisor * step) // (2 * divisor * step) * step
        yield nearest, digits
        for steps in range(1, len(rates) + 3 if digits == fewest else 2):
            for amount in (nearest - steps * step, nearest + steps * step):
                if amount >= 0:
                    yield amount, digits


def _text(amount: int, digits: int) -> str:
    """1e-8 of the unit as decimal text with a dot: the shop takes a comma for nothing, so 50,00 would be 5000."""
    whole, fraction = divmod(amount, 10**MICRO_DIGITS)
    return f"{whole}.{fraction:08d}"[: -(MICRO_DIGITS - digits) or None].rstrip(".")
