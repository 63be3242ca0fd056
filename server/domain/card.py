"""Card numbers: checked, recognised, used once, never shown. Called by `rpc` parsing and by the adapters."""

import re
from dataclasses import dataclass, field
from datetime import datetime

from server.domain.errors import InvalidField

MIN_DIGITS, MAX_DIGITS = 12, 19
_BETWEEN_DIGITS = r"[\s.-]"
_SEPARATORS = {ord(one): None for one in map(chr, range(0x3001)) if re.match(_BETWEEN_DIGITS, one)}
# Beside no other letter or digit, nor a group of them.
_PRINTED = re.compile(
    r"(?<![0-9A-Za-z])(?<![0-9A-Za-z][.-])(?<![0-9] )"
    r"(?:[0-9]{4}([ .-])[0-9]{4}\1[0-9]{4}\1[0-9]{4}|[0-9]{4}([ .-])[0-9]{6}\2[0-9]{5})"
    r"(?![0-9A-Za-z])(?![.-][0-9A-Za-z])(?! [0-9])"
)
_DIGIT_GROUPS = re.compile(rf"[0-9]+(?:{_BETWEEN_DIGITS}[0-9]+)*")

# Issuer ranges by prefix (first, last) and the lengths a brand issues: https://en.wikipedia.org/wiki/Payment_card_number
_BRANDS: tuple[tuple[str, tuple[tuple[int, int], ...], frozenset[int]], ...] = (
    ("amex", ((34, 34), (37, 37)), frozenset({15})),
    ("diners", ((300, 305), (36, 36), (38, 39)), frozenset(range(14, 20))),
    ("discover", ((6011, 6011), (644, 649), (65, 65)), frozenset(range(16, 20))),
    ("jcb", ((3528, 3589),), frozenset(range(16, 20))),
    ("mastercard", ((51, 55), (2221, 2720)), frozenset({16})),
    ("unionpay", ((62, 62), (81, 81)), frozenset(range(16, 20))),
    ("maestro", ((50, 50), (56, 58), (6304, 6304), (67, 67)), frozenset(range(12, 20))),
    ("visa", ((4, 4),), frozenset({13, 16, 19})),
)


@dataclass(frozen=True, slots=True)
class Card:
    """A raw card for the one call that needs it. Its repr holds no number and no CVC.

    Attributes:
        number: 12 to 19 digits whose Luhn checksum holds.
        exp_month: 1 to 12.
        exp_year: Four digits.
        cvc: Three or four digits, or empty. Never stored anywhere.
        holder: The name on the card, or empty.
    """

    number: str = field(repr=False)
    exp_month: int
    exp_year: int
    cvc: str = field(repr=False, default="")
    holder: str = field(repr=False, default="")

    @property
    def brand(self) -> str:
        """The network's name in lower case, `unknown` where no range matches."""
        return brand_of(self.number)

    @property
    def bin(self) -> str:
        """The first eight digits, or six of a number of fewer than sixteen: with the last four, all that may be kept.

        https://www.pcisecuritystandards.org/faqs/ (1091, truncation)
        """
        return self.number[: 8 if len(self.number) >= 16 else 6]

    @property
    def last4(self) -> str:
        """The four digits that may be shown."""
        return self.number[-4:]


def luhn_ok(number: str) -> bool:
    """Says whether the digits' checksum holds (ISO/IEC 7812-1, annex B)."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in number[-2::-2])
    return (sum(int(digit) for digit in number[-1::-2]) + sum(doubled)) % 10 == 0


def brand_of(number: str) -> str:
    """Returns the network that issues the number, `unknown` where no range matches."""
    for brand, ranges, lengths in _BRANDS:
        if len(number) in lengths and any(first <= int(number[: len(str(first))]) <= last for first, last in ranges):
            return brand
    return "unknown"


def writes_number(text: str, number: str) -> bool:
    """Says whether text holds this number, in groups or not."""
    return number in text.translate(_SEPARATORS)


def holds_printed_number(text: str) -> bool:
    """Says whether text holds a card number in groups, as cards have it printed.

    Shops' own numbers, UUIDs and bank accounts do not look so; `holds_card_number` takes one in ten thousand UUIDs, and
    one in ten numbers of sixteen digits, for a card's.
    """
    return any(_is_issued(re.sub(r"\D", "", found[0])) for found in _PRINTED.finditer(text))


def holds_card_number(text: str) -> bool:
    """Says whether text seems to hold a card number: digits, in groups or not, that a network issues and that check."""
    for found in _DIGIT_GROUPS.findall(text):
        groups = re.split(_BETWEEN_DIGITS, found)
        for start in range(len(groups)):
            number = ""
            for group in groups[start:]:
                number += group
                if len(number) > MAX_DIGITS:
                    break
                if len(number) >= MIN_DIGITS and _is_issued(number):
                    return True
    return False


def _is_issued(number: str) -> bool:
    return brand_of(number) != "unknown" and luhn_ok(number)


def check_card(card: Card, now: datetime) -> None:
    """Refuses a card that cannot be charged, before anything is written.

    Raises:
        InvalidField: Naming `card.number`, `card.exp_month`, `card.exp_year` or `card.cvc`; never quoting them.
    """
    number = card.number
    if not (number.isascii() and number.isdigit() and MIN_DIGITS <= len(number) <= MAX_DIGITS):
        raise InvalidField("card.number", f"must be {MIN_DIGITS} to {MAX_DIGITS} digits without spaces")
    if not luhn_ok(number):
        raise InvalidField("card.number", "has a wrong check digit; ask the customer to enter it again")
    if not 1 <= card.exp_month <= 12:
        raise InvalidField("card.exp_month", "must be 1 to 12")
    if not now.year <= card.exp_year <= now.year + 50:
        raise InvalidField("card.exp_year", "must be a four-digit year, this one to fifty years from now")
    if card.exp_year == now.year and card.exp_month < now.month:
        raise InvalidField("card.exp_month", "lies in the past: the card has expired")
    if card.cvc and not (card.cvc.isascii() and card.cvc.isdigit() and len(card.cvc) in {3, 4}):
        raise InvalidField("card.cvc", "must be 3 or 4 digits")
