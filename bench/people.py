"""Merchants and customers that never were, drawn from a seed. Called by `payments` and `patterns`."""

from dataclasses import dataclass
from random import Random
from typing import Final, NamedTuple


@dataclass(frozen=True, slots=True)
class Merchant:
    """A shop: what it sells for in its currency's minor units, when, and how much of all trade is its own."""

    id: str
    currency: str
    countries: tuple[str, ...]
    median: int
    spread: float
    weight: int
    digital: bool


MERCHANTS: Final = (
    Merchant("mer_books", "USD", ("US", "CA"), 2_400, 0.6, 22, False),
    Merchant("mer_games", "USD", ("US", "GB", "DE", "BR"), 1_500, 0.8, 20, True),
    Merchant("mer_shoes", "EUR", ("DE", "FR", "NL", "AT"), 7_900, 0.5, 16, False),
    Merchant("mer_phones", "GBP", ("GB", "IE"), 38_000, 0.7, 9, False),
    Merchant("mer_flights", "EUR", ("FR", "ES", "IT", "DE"), 21_000, 0.8, 8, True),
    Merchant("mer_food", "USD", ("US",), 3_600, 0.4, 14, False),
    Merchant("mer_gifts", "USD", ("US", "CA", "GB"), 5_000, 0.7, 7, True),
    Merchant("mer_manga", "JPY", ("JP",), 3_200, 0.6, 4, False),
)

BRANDS: Final = (("visa", "4"), ("mastercard", "5"), ("amex", "37"))
_FIRST: Final = ("ana", "ben", "cleo", "dan", "eva", "finn", "gus", "hana", "ivo", "jun", "kai", "lea", "max", "nia")
_LAST: Final = ("smith", "müller", "rossi", "tanaka", "silva", "dubois", "jansen", "novak", "kim", "o'neill", "li")
_MAIL: Final = ("gmail.com", "outlook.com", "yahoo.com", "icloud.com", "web.de", "orange.fr", "company.example")
_STREETS: Final = ("high street", "main street", "hauptstrasse", "rue de lyon", "station road", "mill lane")


class Customer(NamedTuple):
    """A customer of one home merchant, with a card, a device and an address that seldom change."""

    id: str
    merchant: Merchant
    email: str
    name: str
    country: str
    postcode: str
    street: str
    card: str
    bin: str
    brand: str
    funding: str
    months_left: int
    device: str
    ip: str
    since: int


def draw_customers(random: Random, count: int) -> list[Customer]:
    """Draws customers; they were with their merchant for 0 to 1,000 days when the first payment is made."""
    weights = [merchant.weight for merchant in MERCHANTS]
    homes = random.choices(MERCHANTS, weights, k=count)
    return [_customer(random, number, home) for number, home in enumerate(homes)]


def _customer(random: Random, number: int, home: Merchant) -> Customer:
    first, last = random.choice(_FIRST), random.choice(_LAST)
    country = random.choice(home.countries)
    brand, bin_ = draw_bin(random, country)
    return Customer(
        f"cus_{number:07}",
        home,
        f"{first}.{last.replace(chr(39), '')}{number % 997}@{random.choice(_MAIL)}",
        f"{first} {last}",
        country,
        f"{random.randrange(10_000, 99_999)}",
        f"{random.randrange(1, 200)} {random.choice(_STREETS)}",
        f"card_{random.getrandbits(64):016x}",
        bin_,
        brand,
        "prepaid" if random.random() < 0.04 else random.choice(("credit", "debit")),
        random.randrange(1, 60),
        f"dev_{random.getrandbits(48):012x}",
        draw_ip(random, country),
        int(random.expovariate(1 / 220)) if random.random() > 0.1 else 0,
    )


def draw_bin(random: Random, country: str) -> tuple[str, str]:
    """Draws a card's brand and its first six digits; each country has forty of them."""
    brand, prefix = random.choice(BRANDS)
    rest = 6 - len(prefix)
    number = sum(country.encode()) * 41 % 97 * 100 + random.randrange(40)
    return brand, prefix + f"{number % 10**rest:0{rest}}"


def draw_ip(random: Random, country: str) -> str:
    """Draws an address out of a country's made-up block."""
    block = sum(country.encode()) % 90 + 100
    return f"{block}.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(1, 255)}"
