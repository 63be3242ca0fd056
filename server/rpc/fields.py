"""Checks of single fields, each refusing with the field's dotted name. Called by the modules that parse requests.

What passes here fits every table: no NUL, which Postgres refuses, and no lone surrogate, which UTF-8 cannot write;
either would fail a whole batch of payments.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from ipaddress import ip_address
from urllib.parse import urlsplit
from zoneinfo import available_timezones

import pycountry
from google.protobuf.timestamp_pb2 import Timestamp

from server.domain.errors import InvalidField, KassaError, Reason

MAX_AMOUNT = 99_999_999_999
"""Minor units. Far above any card limit, and far below where sums of a merchant's payments leave 64 bits."""
MAX_PAGE_SIZE, DEFAULT_PAGE_SIZE = 100, 20
MAX_METADATA_KEYS, MAX_METADATA_KEY, MAX_METADATA_VALUE = 50, 40, 500
_MAX_EMAIL, _MAX_URL = 254, 2_000
_PHONE = re.compile(r"\+[1-9][0-9]{1,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_UNSAFE_IN_URL = re.compile(r"[\s\x00-\x1f\x7f\\]")


@cache
def iso_currencies() -> frozenset[str]:
    """All codes of ISO 4217."""
    return frozenset(currency.alpha_3 for currency in pycountry.currencies)


@cache
def _iso_countries() -> frozenset[str]:
    return frozenset(country.alpha_2 for country in pycountry.countries)


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def text(value: str, field: str, *, longest: int, required: bool = False) -> str:
    """Takes text of at most `longest` characters.

    Raises:
        InvalidField: Too long, empty where it is required, or with characters that cannot be stored.
    """
    if len(value) > longest:
        raise InvalidField(field, f"must have at most {longest} characters")
    if required and not value.strip():
        raise InvalidField(field, "is required")
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidField(field, "must be valid Unicode")
    if "\0" in value:
        raise InvalidField(field, "must not contain the character NUL")
    return value


def amount(value: int, field: str = "amount") -> int:
    """Takes an amount in minor units, 1 to MAX_AMOUNT."""
    if not 1 <= value <= MAX_AMOUNT:
        raise InvalidField(field, f"must be 1 to {MAX_AMOUNT}, in the currency's minor unit")
    return value


def currency(value: str, field: str, supported: frozenset[str]) -> str:
    """Takes a currency.

    Raises:
        InvalidField: No code of ISO 4217 in upper case.
        KassaError: CURRENCY_NOT_SUPPORTED: none of `supported`.
    """
    if value not in iso_currencies():
        raise InvalidField(field, "must be a currency code of ISO 4217 in upper case, such as USD")
    if value not in supported:
        listed = ", ".join(sorted(supported))
        raise KassaError(
            Reason.CURRENCY_NOT_SUPPORTED,
            f"{field} must be one of {listed}.",
            metadata={"currency": value, "supported": listed},
            field=field,
        )
    return value


def country(value: str, field: str) -> str:
    """Takes a country code, or nothing."""
    if value and value not in _iso_countries():
        raise InvalidField(field, "must be a country code of ISO 3166-1 alpha-2 in upper case, such as US")
    return value


def time_zone(value: str, field: str) -> str:
    """Takes an IANA time zone, or nothing."""
    if value and value not in _time_zones():
        raise InvalidField(field, "must be an IANA time zone, such as Europe/Paris")
    return value


def email(value: str, field: str) -> str:
    """Takes an e-mail address, or nothing; only delivery can tell whether it exists, so the check is loose."""
    text(value, field, longest=_MAX_EMAIL)
    if value and _EMAIL.fullmatch(value) is None:
        raise InvalidField(field, "must be an e-mail address")
    return value


def phone(value: str, field: str) -> str:
    """Takes a telephone number in E.164 form, or nothing."""
    if value and _PHONE.fullmatch(value) is None:
        raise InvalidField(field, "must be a number in E.164 form, such as +4930123456")
    return value


def ip(value: str, field: str) -> str:
    """Takes an IPv4 or IPv6 address, or nothing, and returns it in the one form that rules compare."""
    if not value:
        return value
    try:
        address = ip_address(value)
    except ValueError:
        raise InvalidField(field, "must be an IPv4 or IPv6 address") from None
    if getattr(address, "scope_id", None) is not None:
        raise InvalidField(field, "must be an address without a zone")
    return str(address)


def url(value: str, field: str, *, required: bool = False) -> str:
    """Takes an absolute http or https address, or nothing."""
    text(value, field, longest=_MAX_URL, required=required)
    if not value:
        return value
    try:
        parts = urlsplit(value)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
        good = good and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good or _UNSAFE_IN_URL.search(value):
        raise InvalidField(field, "must be an absolute http or https URL")
    return value


def metadata(value: Mapping[str, str], field: str = "metadata") -> dict[str, str]:
    """Takes the merchant's own data, within its limits."""
    if len(value) > MAX_METADATA_KEYS:
        raise InvalidField(field, f"must have at most {MAX_METADATA_KEYS} keys")
    for key, item in value.items():
        if not 1 <= len(key) <= MAX_METADATA_KEY:
            raise InvalidField(field, f"must have keys of 1 to {MAX_METADATA_KEY} characters")
        text(key, field, longest=MAX_METADATA_KEY)
        # A key that is no name, such as a card number put there by mistake, is not repeated in an error.
        text(item, f"{field}.{key}" if key.isidentifier() else field, longest=MAX_METADATA_VALUE)
    return dict(value)


def page_size(value: int) -> int:
    """Takes a page size; 0 is the default, and more than the maximum is the maximum (https://google.aip.dev/158)."""
    if value < 0:
        raise InvalidField("page_size", f"must be 1 to {MAX_PAGE_SIZE}, or absent")
    return min(value, MAX_PAGE_SIZE) or DEFAULT_PAGE_SIZE


def instant(value: Timestamp, field: str) -> datetime:
    """Takes a time, and returns it aware in UTC."""
    try:
        return value.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidField(field, "must be a time between the years 1 and 9999") from None
