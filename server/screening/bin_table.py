"""What the first digits of a card number tell of its issuer. `facts` looks up, `bootstrap` loads.

https://www.iso.org/standard/70484.html (ISO/IEC 7812: numbers begin with the issuer's six, now eight, digits)
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from fraud_rules import VOCABULARY
from server.screening.tables import TableRow, read_table

COLUMNS = ("first", "last", "brand", "country", "funding")
_FEWEST, _MOST = 6, 8


@dataclass(frozen=True, slots=True)
class Issuer:
    """What is known of an issuer's cards, in the vocabulary's words; empty where it is not known."""

    brand: str = ""
    country: str = ""
    funding: str = ""


NOT_KNOWN = Issuer()


class BinTable:
    """Ranges of first digits; of ranges that hold a number the one with the most digits counts."""

    def __init__(self, rows: Iterable[TableRow] = ()) -> None:
        """Takes the lines of a table.

        Raises:
            TableError: A line is wrong, or its range shares numbers with another one of as many digits.
        """
        self._by_length: dict[int, tuple[list[str], list[str], list[Issuer]]] = {}
        ranges = sorted(((len(row.fields["first"]), *_range(row)), row) for row in rows)
        for length in sorted({found[0] for found, _ in ranges}, reverse=True):
            of_length = [(first, last, row) for (digits, first, last), row in ranges if digits == length]
            for (_, last, row), (first, _, next_row) in pairwise(of_length):
                if first <= last:
                    raise next_row.wrong(f"shares numbers with line {row.line}; a number may stand in one range only")
            self._by_length[length] = (
                [first for first, _, _ in of_length],
                [last for _, last, _ in of_length],
                [_issuer(row) for _, _, row in of_length],
            )

    def find(self, digits: str) -> Issuer:
        """Returns what is known of the card number that begins with these digits."""
        for length, (firsts, lasts, issuers) in self._by_length.items():
            key = digits[:length]
            at = bisect_right(firsts, key) - 1
            if len(key) == length and at >= 0 and key <= lasts[at]:
                return issuers[at]
        return NOT_KNOWN


def load_bins(path: Path | None = None) -> BinTable:
    """Reads a table; None reads the sample, which knows processors' test cards alone.

    Raises:
        TableError: Naming file and line.
    """
    return BinTable(read_table(path, "bins.csv", COLUMNS))


def _range(row: TableRow) -> tuple[str, str]:
    first, last = row.fields["first"], row.fields["last"] or row.fields["first"]
    for name, digits in (("first", first), ("last", last)):
        if not (digits.isascii() and digits.isdigit() and _FEWEST <= len(digits) <= _MOST):
            raise row.wrong(f"{name} must be {_FEWEST} to {_MOST} digits")
    if len(first) != len(last) or last < first:
        raise row.wrong("last must have as many digits as first, and not be less")
    return first, last


def _issuer(row: TableRow) -> Issuer:
    brand, funding = row.fields["brand"].lower(), row.fields["funding"].lower()
    for name, value in (("card_brand", brand), ("card_funding", funding)):
        known = VOCABULARY[name].values
        if value and value not in known:
            raise row.wrong(f"{name.removeprefix('card_')} must be one of {', '.join(known)}, or empty")
    return Issuer(brand, country_of(row), funding)


def country_of(row: TableRow) -> str:
    """Returns a line's country in upper case, or empty.

    Raises:
        TableError: It is no code of two letters.
    """
    country = row.fields["country"].upper()
    if country and not (len(country) == 2 and country.isascii() and country.isalpha()):
        raise row.wrong("country must be a code of ISO 3166-1 alpha-2, such as US, or empty")
    return country
