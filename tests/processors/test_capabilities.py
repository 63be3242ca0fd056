"""What is refused before anything is written, and amounts on the wire."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import KassaError, Reason
from server.domain.payment import Method
from server.processors.capabilities import currency_table, from_wire, require, to_wire
from server.processors.contract import Capabilities
from server.processors.paypal.currencies import CAPABILITIES as PAYPAL
from server.processors.paypal.currencies import read_money, write_money
from server.processors.stripe.currencies import CAPABILITIES as STRIPE
from server.processors.stripe.currencies import our_amount, wire_amount

AMOUNTS = st.integers(min_value=1, max_value=10**12)


def refusal(
    capabilities: Capabilities, method: Method, currency: str, amount: int = 1000, *, hold: bool = False
) -> KassaError:
    with pytest.raises(KassaError) as refused:
        require(capabilities, "name", method, currency, amount, hold=hold)
    return refused.value


@pytest.mark.parametrize(
    ("currency", "amount", "wire"),
    [
        ("USD", 1999, 1999),
        ("JPY", 1999, 1999),  # no decimals on either side
        ("ISK", 1999, 199900),  # none, written with two
        ("UGX", 1999, 199900),
        ("MGA", 500, 5),  # two, written without
        ("KWD", 1990, 1990),  # three
    ],
)
def test_stripes_amounts(currency: str, amount: int, wire: int) -> None:
    assert wire_amount(currency, amount) == wire
    assert our_amount(currency, wire) == amount


@pytest.mark.parametrize(
    ("currency", "amount", "value"),
    [("USD", 5, "0.05"), ("USD", 123456789012, "1234567890.12"), ("JPY", 1999, "1999"), ("HUF", 199900, "1999")],
)
def test_paypals_amounts(currency: str, amount: int, value: str) -> None:
    assert write_money(currency, amount) == {"currency_code": currency, "value": value}
    assert read_money({"currency_code": currency, "value": value}) == (amount, currency)


@given(currency=st.sampled_from(sorted(STRIPE.currencies)), amount=AMOUNTS)
def test_stripe_expresses_an_amount_exactly_or_not_at_all(currency: str, amount: int) -> None:
    step = STRIPE.currencies[currency].step
    if amount % step:
        with pytest.raises(ValueError, match="no multiple"):
            wire_amount(currency, amount)
        assert refusal(STRIPE, Method.CREDIT_CARD, currency, amount).reason is Reason.AMOUNT_NOT_REPRESENTABLE
    else:
        assert our_amount(currency, wire_amount(currency, amount)) == amount
        require(STRIPE, "stripe", Method.CREDIT_CARD, currency, amount, hold=True)


@given(currency=st.sampled_from(sorted(PAYPAL.currencies)), amount=AMOUNTS)
def test_paypal_expresses_an_amount_exactly_or_not_at_all(currency: str, amount: int) -> None:
    if amount % PAYPAL.currencies[currency].step:
        with pytest.raises(ValueError, match="no multiple"):
            write_money(currency, amount)
        assert refusal(PAYPAL, Method.DIGITAL_WALLET, currency, amount).reason is Reason.AMOUNT_NOT_REPRESENTABLE
    else:
        assert read_money(write_money(currency, amount)) == (amount, currency)


@pytest.mark.parametrize("value", ["19.999", "1e-3", "NaN", "Infinity", "nineteen"])
def test_an_amount_that_does_not_exist_is_not_read(value: str) -> None:
    with pytest.raises((ValueError, ArithmeticError)):
        read_money({"currency_code": "USD", "value": value})


@pytest.mark.parametrize("amount", [19.5, "1999", None])
def test_only_integers_are_read_as_stripes_amounts(amount: Any) -> None:
    with pytest.raises(ValueError, match="no integer"):
        our_amount("USD", amount)


def test_wire_amounts_with_decimals_that_the_currency_lacks_are_not_read() -> None:
    with pytest.raises(ValueError, match="no amount of ISK"):
        our_amount("ISK", 1001)


def test_a_step_wider_than_the_exponent_is_kept() -> None:
    rule = currency_table("KWD", {}, {"KWD": 10})["KWD"]
    assert to_wire(rule, "KWD", 1230) == 1230
    assert from_wire(rule, "KWD", 1230) == 1230


def test_a_method_that_is_not_served_names_those_that_are() -> None:
    error = refusal(PAYPAL, Method.CREDIT_CARD, "USD")
    assert error.reason is Reason.METHOD_NOT_SUPPORTED
    assert error.metadata == {"processor": "name", "supported_methods": "DIGITAL_WALLET"}
    assert error.field == "method"


def test_a_hold_that_is_not_possible_names_the_methods_that_can() -> None:
    require(STRIPE, "stripe", Method.BANK_TRANSFER, "USD", 1000, hold=False)
    error = refusal(STRIPE, Method.BANK_TRANSFER, "USD", hold=True)
    assert error.reason is Reason.METHOD_NOT_SUPPORTED
    assert error.metadata["supported_methods"] == "CREDIT_CARD,DEBIT_CARD"
    assert error.field == "capture_method"


def test_a_currency_that_a_method_does_not_take_names_those_it_takes() -> None:
    error = refusal(STRIPE, Method.BANK_TRANSFER, "JPY")
    assert error.reason is Reason.CURRENCY_NOT_SUPPORTED
    assert error.metadata["supported_currencies"] == "EUR,USD"
    assert refusal(PAYPAL, Method.DIGITAL_WALLET, "KWD").reason is Reason.CURRENCY_NOT_SUPPORTED
    assert refusal(STRIPE, Method.CREDIT_CARD, "XXX").reason is Reason.CURRENCY_NOT_SUPPORTED


def test_an_amount_that_cannot_be_expressed_names_the_step() -> None:
    error = refusal(STRIPE, Method.CREDIT_CARD, "KWD", 1005)
    assert error.reason is Reason.AMOUNT_NOT_REPRESENTABLE
    assert (error.metadata["step"], error.field) == ("10", "amount")


def test_a_methods_currencies_are_among_the_processors() -> None:
    for capabilities in (STRIPE, PAYPAL):
        for rule in capabilities.methods.values():
            assert (rule.currencies or frozenset()) <= capabilities.currencies.keys()
        assert capabilities.key_lifetime.keys() == {"Authorization", "Capture", "Void", "Refund"}
    assert refusal(replace(STRIPE, methods={}), Method.CREDIT_CARD, "USD").metadata["supported_methods"] == ""
