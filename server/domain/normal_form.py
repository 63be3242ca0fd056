"""Texts that people write in many ways, brought into one, so that they can be compared and counted."""

import unicodedata

from server.domain.payment import Address


def one_line(text: str) -> str:
    """Returns a text in lower case, without accents' variants, and with one space where there was any."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def one_line_of(address: Address) -> str:
    """Returns street, city, postcode and country in one line; empty where none of them is known."""
    parts = (address.line1, address.line2, address.city, address.region, address.postal_code, address.country)
    return one_line(" ".join(parts))


def domain_of(email: str) -> str:
    """Returns what follows the @ in lower case; empty where there is none."""
    return email.rpartition("@")[2].lower() if "@" in email else ""
