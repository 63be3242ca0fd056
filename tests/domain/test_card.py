"""Card checks: nothing wrong passes, nothing right is refused, and nothing of a card is ever shown."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.card import Card, brand_of, check_card, holds_card_number, luhn_ok
from server.domain.errors import InvalidField

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def card(**changes: object) -> Card:
    fields = {"number": "4242424242424242", "exp_month": 12, "exp_year": 2030, "cvc": "123"} | changes
    return Card(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("number", "brand"),
    [
        ("4242424242424242", "visa"),
        ("5555555555554444", "mastercard"),
        ("2223003122003222", "mastercard"),
        ("378282246310005", "amex"),
        ("6011111111111117", "discover"),
        ("3056930009020004", "diners"),
        ("36227206271667", "diners"),
        ("3566002020360505", "jcb"),
        ("6200000000000005", "unionpay"),
        ("9999999999999995", "unknown"),
    ],
)
def test_published_test_cards_pass_with_their_brand(number: str, brand: str) -> None:
    check_card(card(number=number), NOW)
    assert brand_of(number) == brand


@given(st.integers(0, 15), st.integers(1, 9))
def test_any_single_wrong_digit_breaks_the_checksum(position: int, shift: int) -> None:
    good = "4242424242424242"
    digit = str((int(good[position]) + shift) % 10)
    assert not luhn_ok(good[:position] + digit + good[position + 1 :])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"number": "4242424242424241"}, "card.number"),
        ({"number": "4242 4242 4242 4242"}, "card.number"),
        ({"number": "٤٢٤٢٤٢٤٢٤٢٤٢٤٢٤٢"}, "card.number"),
        ({"number": ""}, "card.number"),
        ({"number": "42" * 10}, "card.number"),
        ({"exp_month": 0}, "card.exp_month"),
        ({"exp_month": 13}, "card.exp_month"),
        ({"exp_year": 2025}, "card.exp_year"),
        ({"exp_year": 30}, "card.exp_year"),
        ({"exp_year": 2026, "exp_month": 10}, "card.exp_month"),
        ({"cvc": "12"}, "card.cvc"),
        ({"cvc": "12a"}, "card.cvc"),
    ],
)
def test_a_bad_card_is_refused_by_field_without_quoting_it(changes: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidField) as refusal:
        check_card(card(**changes), NOW)
    assert refusal.value.field == field
    value = str(next(iter(changes.values())))
    assert len(value) < 3 or value not in refusal.value.message


def test_a_card_is_good_until_its_month_is_over() -> None:
    check_card(card(exp_year=2026, exp_month=11), NOW)


def test_the_representation_hides_number_cvc_and_holder() -> None:
    shown = repr(card(holder="Ada Byron"))
    assert "4242" not in shown and "123" not in shown and "Ada" not in shown


@pytest.mark.parametrize(
    "text",
    [
        "4242424242424242",
        "The card 4242 4242 4242 4242 12/30 was used",
        "paid with 4242-4242-4242-4242",
        "3782 822463 10005",
        "order 17 4000056655665556",
        "4242\n4242\n4242\n4242",
    ],
)
def test_a_card_number_is_found_in_text(text: str) -> None:
    assert holds_card_number(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4242424242424241",
        "9400111899223100001234",
        "1Z999AA10123456784",
        "2030-01-31 203.0.113.7 signed by A. Byron",
        "0" * 19,
        "1 " * 9_000,
    ],
    ids=["empty", "wrong check digit", "USPS", "UPS", "a log", "no network", "long"],
)
def test_other_digits_are_no_card_number(text: str) -> None:
    assert not holds_card_number(text)
