"""Amounts become US cents exactly."""

import pytest

from fraud_rules.rates import parse_rates
from fraud_rules.sources import RATES

FILE = b"date: 2025-01-31\nusd_per_unit: {EUR: 1.155, JPY: 0.0067, KWD: 3.25, IDR: 0.00006}\n"


@pytest.mark.parametrize(
    ("amount", "currency", "cents"),
    [
        (1_234, "USD", 1_234),
        (100, "EUR", 116),
        (99, "EUR", 114),
        (0, "EUR", 0),
        (1_000_000, "JPY", 670_000),
        (1_000, "KWD", 325),
        (1, "KWD", 0),
        (8_333_333, "IDR", 500),
        (2**53 - 1, "USD", 2**53 - 1),
        (100, "XXX", None),
        (100, "usd", None),
    ],
)
def test_amounts_are_converted_in_whole_numbers_and_rounded_half_up(
    amount: int, currency: str, cents: int | None
) -> None:
    assert parse_rates(FILE, "rates.yaml").to_usd_cents(amount, currency) == cents


def test_the_shipped_rates_are_dated_and_sound() -> None:
    rates = parse_rates(RATES.read_bytes(), str(RATES))
    assert rates.date.year >= 2025
    assert {"USD", "EUR", "GBP", "CAD", "JPY"} <= rates.cents_per_minor_unit.keys()
