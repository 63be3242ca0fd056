"""The vocabulary: every fact that a rule may name, with its type, unit and meaning. Read by parser, admission and docs.

A payment brings only the facts that are known of it; the others are unknown, and no comparison with them is true.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType

Value = str | int | bool
Facts = Mapping[str, Value | None]

MAX_INTEGER = 2**53 - 1
"""The engine compares larger integers wrongly, so no fact and no literal may be larger."""

MAX_TEXT = 1_024
"""Longer texts are cut to this many characters before either back end sees them."""


class Kind(StrEnum):
    """The type of a fact's value: int, str or bool."""

    INTEGER = "integer"
    TEXT = "text"
    BOOLEAN = "boolean"


class Unit(StrEnum):
    """What an integer counts. Facts of different units cannot be compared, added or subtracted."""

    NUMBER = "number"
    MINOR_UNITS = "minor units"
    US_CENTS = "US cents"
    SECONDS = "seconds"
    DAYS = "days"
    MONTHS = "months"
    HOUR = "hour of the day"
    WEEKDAY = "day of the week"
    NONE = ""


class Case(StrEnum):
    """How a text is normalised before it is compared, in payments, rules and lists alike."""

    UPPER = "upper"
    LOWER = "lower"
    ADDRESS = "ip address"
    AS_IS = "as it is"


@dataclass(frozen=True, slots=True)
class Fact:
    """One word of the vocabulary.

    Attributes:
        values: Where not empty, the only values there are.
        minimum, maximum: The least and greatest value of an integer.
        told: The merchant tells it as a text: it is converted, and unknown where that fails.
    """

    name: str
    kind: Kind
    meaning: str
    unit: Unit = Unit.NONE
    case: Case = Case.AS_IS
    values: tuple[str, ...] = ()
    minimum: int = 0
    maximum: int = MAX_INTEGER
    told: bool = False

    def normalise(self, text: str) -> str:
        """Returns the text in the fact's case; of an IP address, its shortest form, by which alone it is compared."""
        case = self.case
        if case is Case.AS_IS:
            return text
        if case is Case.ADDRESS:
            return _address(text)
        return text.upper() if case is Case.UPPER else text.lower()


_SHORTEST_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!$)|$)){4}", re.ASCII)


def is_address(text: str) -> bool:
    """Says whether text is an IPv4 or IPv6 address."""
    if _SHORTEST_IPV4.fullmatch(text):
        return True
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _address(text: str) -> str:
    if _SHORTEST_IPV4.fullmatch(text):  # as nearly all are; parsing them takes ten times as long
        return text
    try:
        address = ip_address(text)
    except ValueError:
        return text.lower()
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address).lower()


def _text(name: str, meaning: str, case: Case = Case.AS_IS, values: tuple[str, ...] = ()) -> Fact:
    return Fact(name, Kind.TEXT, meaning, case=case, values=values)


def _integer(name: str, unit: Unit, meaning: str) -> Fact:
    return Fact(name, Kind.INTEGER, meaning, unit=unit)


def _boolean(name: str, meaning: str) -> Fact:
    return Fact(name, Kind.BOOLEAN, meaning)


_METHODS = ("credit_card", "debit_card", "bank_transfer", "digital_wallet", "cryptocurrency")
_BRANDS = ("amex", "diners", "discover", "jcb", "maestro", "mastercard", "unionpay", "unknown", "visa")

_ALL = (
    _integer("amount", Unit.MINOR_UNITS, "What the customer pays, in minor units of `currency`."),
    _integer("amount_usd", Unit.US_CENTS, "The amount in US dollars; computed from `amount` and `currency`."),
    _text("currency", "ISO 4217 code.", Case.UPPER),
    _text("method", "How the customer pays.", Case.LOWER, _METHODS),
    _text("processor", "Who is to move the money, such as `stripe`.", Case.LOWER),
    _text("payment_id", "The payment's id."),
    _text("merchant", "The merchant's id."),
    _text("description", "The merchant's free text."),
    Fact("hour", Kind.INTEGER, "Hour of the payment in the merchant's time zone, else UTC.", Unit.HOUR, maximum=23),
    Fact("weekday", Kind.INTEGER, "Monday is 1; same zone as `hour`.", Unit.WEEKDAY, minimum=1, maximum=7),
    _text("customer", "The merchant's id of the customer."),
    _integer("customer_age_days", Unit.DAYS, "Days since the customer's first payment with the merchant."),
    _boolean("customer_is_new", "True for the customer's first payment with the merchant."),
    _text("email", "The customer's address.", Case.LOWER),
    _text("email_domain", "What follows the @ of `email`.", Case.LOWER),
    _text("phone", "The customer's number, in E.164 form."),
    _text("ip", "Address the payment came from.", Case.ADDRESS),
    _text("ip_country", "ISO 3166 code of `ip`.", Case.UPPER),
    _boolean("ip_is_proxy", "True where `ip` belongs to a proxy, a VPN or Tor."),
    _text("device", "Fingerprint of the customer's device."),
    _text("user_agent", "What the customer's browser calls itself."),
    _text("card", "Fingerprint that stands for the card number; never the number itself."),
    _text("bin", "The first six or eight digits of the card number."),
    _text("card_brand", "The card's network.", Case.LOWER, _BRANDS),
    _text("card_country", "ISO 3166 code of the card's issuer.", Case.UPPER),
    _text("card_funding", "How the card is funded.", Case.LOWER, ("credit", "debit", "prepaid", "unknown")),
    _integer("card_months_left", Unit.MONTHS, "Months after this one in which the card is still valid; 0 in its last."),
    _text("holder_name", "The name on the card.", Case.LOWER),
    _boolean("card_checksum_ok", "Whether the number's Luhn sum holds; unknown where a token stands for the number."),
    _boolean("cvc_given", "Whether the customer gave the card's security code."),
    _text("billing_country", "ISO 3166 code.", Case.UPPER),
    _text("billing_postcode", "As the customer wrote it, in upper case.", Case.UPPER),
    _text("billing_address", "Street, city, postcode and country of the bill, in one line.", Case.LOWER),
    _text("shipping_country", "ISO 3166 code.", Case.UPPER),
    _text("shipping_postcode", "As the customer wrote it, in upper case.", Case.UPPER),
    _text("shipping_address", "Street, city, postcode and country of the parcel, in one line.", Case.LOWER),
    _integer("merchant_age_days", Unit.DAYS, "Days since the merchant was registered."),
)

VOCABULARY: Mapping[str, Fact] = MappingProxyType({fact.name: fact for fact in _ALL})
"""Every fact but the velocity facts, whose names follow from the rules (`velocity`)."""
