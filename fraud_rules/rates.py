"""Exchange rates to US dollars from a dated file, applied in whole numbers. Read by `loading`, used by `admission`."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

from fraud_rules.document import Entries, Node, Scalar, read_document
from fraud_rules.errors import Problem, RulesError
from fraud_rules.literals import LiteralError, number

# Digits of the minor unit where they are not two: ISO 4217, list one, https://www.iso.org/iso-4217-currency-codes.html
_NO_DIGITS = ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV")
_CFA_AND_CFP = ("XAF", "XOF", "XPF")
_THREE_DIGITS = ("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND")
_DIGITS: Mapping[str, int] = dict.fromkeys((*_NO_DIGITS, *_CFA_AND_CFP), 0) | dict.fromkeys(_THREE_DIGITS, 3)


@dataclass(frozen=True, slots=True)
class Rates:
    """Prices of currencies in US cents, as of one day.

    Attributes:
        date: The day that the rates are of.
        cents_per_minor_unit: By ISO 4217 code, exact.
    """

    date: date
    cents_per_minor_unit: Mapping[str, Fraction]

    def to_usd_cents(self, amount: int, currency: str) -> int | None:
        """Converts minor units of a currency to US cents, rounded half up; None where the file has no rate."""
        factor = self.cents_per_minor_unit.get(currency)
        return (
            None if factor is None else (2 * amount * factor.numerator + factor.denominator) // (2 * factor.denominator)
        )


def parse_rates(content: bytes, file: str) -> Rates:
    """Reads a rates file: `date: 2026-01-31` and under `usd_per_unit` a price in dollars for each currency.

    Raises:
        RulesError: Not such a file, a rate that is not above zero, or a dollar that is not 1.
    """
    root, _ = read_document(content, file)
    day, table = _field(root, "date", file), _field(root, "usd_per_unit", file)
    if not isinstance(day, Scalar) or not isinstance(table, Entries):
        raise RulesError([Problem(file, root.line, root.column, "needs `date: YYYY-MM-DD` and a table `usd_per_unit`")])
    try:
        as_of = date.fromisoformat(day.text)
    except ValueError as error:
        raise RulesError([Problem(file, day.line, day.column, f"{day.text[:40]!r} is not a date")]) from error
    factors = {"USD": Fraction(1)}
    for currency, (key, node) in table.items.items():
        rate = _rate(key, node, file)
        factors[currency] = rate * 100 / 10 ** _DIGITS.get(currency, 2)
    if factors["USD"] != 1:
        raise RulesError([Problem(file, table.line, table.column, "the rate of USD must be 1, or left out")])
    return Rates(as_of, factors)


def _field(root: Node, name: str, file: str) -> Node | None:
    if not isinstance(root, Entries):
        raise RulesError([Problem(file, root.line, root.column, "a rates file is a table")])
    return root.items[name][1] if name in root.items else None


def _rate(key: Scalar, node: Node, file: str) -> Fraction:
    if len(key.text) != 3 or not (key.text.isascii() and key.text.isalpha() and key.text.isupper()):
        raise RulesError([Problem(file, key.line, key.column, f"{key.text[:40]!r} is not an ISO 4217 code")])
    try:
        rate = number(node.text) if isinstance(node, Scalar) else Fraction(0)
    except LiteralError as error:
        raise RulesError([Problem(file, node.line, node.column, error.message, error.hint)]) from error
    if rate <= 0:
        raise RulesError([Problem(file, node.line, node.column, "a rate is a number above zero")])
    return rate
