"""What a CreatePayment may say: everything good goes through as it is, everything else is refused by its field."""

from datetime import UTC, datetime
from typing import Any

import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st
from kassa.v1 import payment_service_pb2 as pb

from server.domain.card import Card
from server.domain.errors import InvalidField, KassaError, Reason
from server.domain.payment import Address, CaptureMethod, Customer, Method, State
from server.processors.contract import BankOrCrypto, ProcessorToken, Wallet
from server.rpc import fields
from server.rpc.parse import parse_amount, parse_cancel_reason, parse_create, parse_filter
from server.usecases.create_payment import CreatePaymentCommand
from tests.rpc.conftest import create_request

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SUPPORTED = frozenset({"USD", "EUR", "JPY"})
CARD, GROUPED = "4242424242424242", "4242 4242 4242 4242"
OTHER, OTHER_GROUPED = "5555555555554444", "5555 5555 5555 4444"
URLS = {"return_url": "https://shop.example/done", "cancel_url": "https://shop.example/gone"}


def parse(**changes: Any) -> CreatePaymentCommand:
    """Parses a good request with these changes."""
    return parse_create(create_request(**changes), SUPPORTED, NOW)


def test_a_good_request_goes_through_as_it_is() -> None:
    assert parse() == CreatePaymentCommand(
        amount=1999,
        currency="USD",
        method=Method.CREDIT_CARD,
        capture_method=CaptureMethod.AUTOMATIC,
        instrument=Card(CARD, 12, 2035, "123", "Ada Byron"),
        customer=Customer("cus_42", "ada@example.com", "203.0.113.7"),
        billing_address=Address(country="US"),
        shipping_address=Address(),
        description="Order 1001",
        metadata={"order": "1001"},
        return_url="",
        cancel_url="",
    )


def test_manual_capture_is_kept() -> None:
    assert parse(capture_method=pb.Payment.MANUAL).capture_method is CaptureMethod.MANUAL


@pytest.mark.parametrize("amount", [1, 99_999_999_999])
def test_amount_bounds_are_good(amount: int) -> None:
    assert parse(amount=amount).amount == amount


LONG = "x" * 3_000
BAD: list[tuple[str, dict[str, Any]]] = [
    ("amount", {"amount": 0}),
    ("amount", {"amount": -5}),
    ("amount", {"amount": 100_000_000_000}),
    ("currency", {"currency": None}),
    ("currency", {"currency": "usd"}),
    ("currency", {"currency": "ABC"}),
    ("method", {"method": None}),
    ("method", {"method": 99}),
    ("capture_method", {"capture_method": 99}),
    ("card", {"card": None}),
    ("wallet", {"card": None, "wallet": pb.Wallet()}),
    ("card_token", {"card": None, "card_token": "tok_1"}),
    ("processor_token", {"card": None, "processor_token": ""}),
    ("processor_token", {"card": None, "processor_token": CARD}),
    ("processor_token", {"card": None, "processor_token": "pm_\n"}),
    ("card", {"method": pb.Payment.DIGITAL_WALLET, **URLS}),
    ("wallet", {"method": pb.Payment.DIGITAL_WALLET, "card": None, **URLS}),
    ("card", {"method": pb.Payment.BANK_TRANSFER}),
    ("return_url", {"method": pb.Payment.DIGITAL_WALLET, "card": None, "wallet": pb.Wallet()}),
    ("return_url", {"method": pb.Payment.CRYPTOCURRENCY, "card": None}),
    (
        "cancel_url",
        {"method": pb.Payment.DIGITAL_WALLET, "card": None, "wallet": pb.Wallet(), "return_url": "https://a.example"},
    ),
    ("card.number", {"card": pb.Card(number="4242424242424241", exp_month=12, exp_year=2035)}),
    ("card.number", {"card": pb.Card(number="", exp_month=12, exp_year=2035)}),
    ("card.exp_month", {"card": pb.Card(number=CARD, exp_month=13, exp_year=2035)}),
    ("card.exp_month", {"card": pb.Card(number=CARD, exp_month=2, exp_year=2026)}),
    ("card.exp_year", {"card": pb.Card(number=CARD, exp_month=2, exp_year=26)}),
    ("card.cvc", {"card": pb.Card(number=CARD, exp_month=2, exp_year=2035, cvc="12")}),
    ("card.holder", {"card": pb.Card(number=CARD, exp_month=2, exp_year=2035, holder=LONG)}),
    ("customer.id", {"customer": pb.Customer(id="a\0b")}),
    ("customer.id", {"customer": pb.Customer(id=LONG)}),
    ("customer.email", {"customer": pb.Customer(email="ada")}),
    ("customer.email", {"customer": pb.Customer(email="ada@b c.example")}),
    ("customer.ip", {"customer": pb.Customer(ip="203.0.113.700")}),
    ("customer.ip", {"customer": pb.Customer(ip="fe80::1%eth0")}),
    ("customer.device_id", {"customer": pb.Customer(device_id=LONG)}),
    ("customer.phone", {"customer": pb.Customer(phone="030 123456")}),
    ("customer.phone", {"customer": pb.Customer(phone="+4930123456789012")}),
    ("customer.user_agent", {"customer": pb.Customer(user_agent="a\0b")}),
    ("card.holder", {"card": pb.Card(number=CARD, exp_month=2, exp_year=2035, holder=f"Ada {CARD}")}),
    ("billing_address", {"billing_address": pb.Address(line1=CARD)}),
    ("shipping_address", {"shipping_address": pb.Address(city=f"{CARD} Paris")}),
    ("billing_address.country", {"billing_address": pb.Address(country="us")}),
    ("billing_address.country", {"billing_address": pb.Address(country="XX")}),
    ("shipping_address.city", {"shipping_address": pb.Address(city=LONG)}),
    ("shipping_address.postal_code", {"shipping_address": pb.Address(postal_code="1" * 33)}),
    ("description", {"description": "a\0b"}),
    ("description", {"description": "x" * 1_001}),
    ("metadata", {"metadata": {str(number): "" for number in range(51)}}),
    ("metadata", {"metadata": {"k" * 41: ""}}),
    ("metadata", {"metadata": {"": "value"}}),
    ("metadata.order", {"metadata": {"order": "v" * 501}}),
    ("metadata.order", {"metadata": {"order": "\0"}}),
    ("return_url", {"return_url": "/done"}),
    ("return_url", {"return_url": "javascript:alert(1)"}),
    ("return_url", {"return_url": "https://"}),
    ("return_url", {"return_url": "https://shop.example/\n"}),
    ("return_url", {"return_url": "https://user:word@shop.example/"}),
    ("return_url", {"return_url": "https://shop.example:99999/"}),
    ("return_url", {"return_url": "https://[::1"}),
    ("cancel_url", {"cancel_url": "https://" + LONG}),
    ("description", {"description": f"card {CARD}"}),
    ("metadata", {"metadata": {"pan": CARD}}),
    ("metadata", {"metadata": {CARD: ""}}),
    ("customer.id", {"customer": pb.Customer(id=CARD)}),
    ("return_url", {"return_url": f"https://shop.example/{CARD}"}),
    *(("description", {"description": text}) for text in (GROUPED, GROUPED.replace(" ", "-"), OTHER_GROUPED)),
    ("description", {"description": "Amex 3782 822463 10005."}),
    ("metadata", {"metadata": {"note": f"paid by {GROUPED}"}}),
    ("description", {"card": None, "processor_token": "pm_1", "description": GROUPED}),
    ("customer.device_id", {"customer": pb.Customer(device_id=GROUPED)}),
    ("card.holder", {"card": pb.Card(number=CARD, exp_month=2, exp_year=2035, holder=f"Ada {OTHER_GROUPED}")}),
    ("customer.email", {"customer": pb.Customer(email=f"{CARD}@example.com")}),
]


@pytest.mark.parametrize(("field", "changes"), BAD)
def test_a_wrong_field_is_named_and_never_quoted(field: str, changes: dict[str, Any]) -> None:
    with pytest.raises(InvalidField) as caught:
        parse(**changes)
    assert caught.value.field == field
    assert caught.value.reason is Reason.INVALID_FIELD
    assert CARD not in f"{caught.value} {caught.value.field}"


@pytest.mark.parametrize(
    "changes",
    [
        {"description": f"Order {OTHER}, cart b18c8632-2266-4668-8665-0967dbc38a39"},
        {"description": f"IBAN DE89 {OTHER_GROUPED} 00, seats 41 42 43 44 45 46 47 48 49 50"},
        {
            "metadata": {
                "order": OTHER,
                "cart": "34007144-4448-492d-aa9f-1dd0c20af751",
                "parcel": "9400111899223100001234",
                "first": "4242",
                "second": "4242",
                "voucher": OTHER_GROUPED,
            }
        },
        {"customer": pb.Customer(id=OTHER, device_id="356938035643809")},
    ],
    ids=["order", "account", "metadata", "identifiers"],
)
def test_numbers_of_other_kinds_are_taken(changes: dict[str, Any]) -> None:
    parse(**changes)


def test_a_currency_that_is_switched_off_is_told_from_one_that_is_none() -> None:
    with pytest.raises(KassaError) as caught:
        parse(currency="GBP")
    assert caught.value.reason is Reason.CURRENCY_NOT_SUPPORTED
    assert caught.value.metadata == {"currency": "GBP", "supported": "EUR, JPY, USD"}


@pytest.mark.parametrize(
    ("changes", "instrument"),
    [
        ({"card": None, "processor_token": "pm_card_visa"}, ProcessorToken("pm_card_visa")),
        ({"method": pb.Payment.BANK_TRANSFER, "card": None}, BankOrCrypto()),
        ({"method": pb.Payment.BANK_TRANSFER, "card": None, "processor_token": "pm_1"}, ProcessorToken("pm_1")),
        ({"method": pb.Payment.CRYPTOCURRENCY, "card": None, **URLS}, BankOrCrypto()),
        ({"method": pb.Payment.DIGITAL_WALLET, "card": None, "wallet": pb.Wallet(), **URLS}, Wallet()),
    ],
)
def test_instruments_that_fit_their_method(changes: dict[str, Any], instrument: object) -> None:
    assert parse(**changes).instrument == instrument


def test_an_address_is_written_in_one_form() -> None:
    """Rules compare addresses as text."""
    command = parse(customer=pb.Customer(ip="2001:DB8:0:0::1"))
    assert command.customer.ip == "2001:db8::1"


def test_absent_amounts_mean_all_there_is() -> None:
    assert parse_amount(pb.CapturePaymentRequest()) is None
    assert parse_amount(pb.RefundPaymentRequest(amount=5)) == 5
    with pytest.raises(InvalidField):
        parse_amount(pb.RefundPaymentRequest(amount=0))


def test_a_card_number_as_cancel_reason_is_refused() -> None:
    with pytest.raises(InvalidField, match="reason must not contain a card number"):
        parse_cancel_reason(pb.CancelPaymentRequest(reason=f"paid by {GROUPED}"))


@pytest.mark.parametrize("key", ["", "k" * 41])
def test_a_wrong_key_of_metadata_is_told_from_a_wrong_value(key: str) -> None:
    with pytest.raises(InvalidField, match="metadata must have keys of 1 to 40 characters"):
        parse(metadata={key: "value"})


def test_a_long_cancel_reason_is_refused() -> None:
    with pytest.raises(InvalidField) as caught:
        parse_cancel_reason(pb.CancelPaymentRequest(reason="x" * 501))
    assert caught.value.field == "reason"


def test_filters_narrow_only_where_they_are_given() -> None:
    assert parse_filter(pb.ListPaymentsRequest()).set_fields() == {}
    request = pb.ListPaymentsRequest(
        state=pb.Payment.FAILED, customer_id="cus_1", created_after=Timestamp(seconds=1_700_000_000, nanos=500_000_000)
    )
    assert parse_filter(request).set_fields() == {
        "state": State.FAILED,
        "customer_id": "cus_1",
        "created_after": datetime(2023, 11, 14, 22, 13, 20, 500_000, tzinfo=UTC),
    }


def test_a_time_beyond_the_calendar_is_refused() -> None:
    with pytest.raises(InvalidField) as caught:
        parse_filter(pb.ListPaymentsRequest(created_before=Timestamp(seconds=1 << 60)))
    assert caught.value.field == "created_before"


@pytest.mark.parametrize(("given_size", "taken"), [(0, 20), (1, 1), (100, 100), (5_000, 100)])
def test_page_sizes(given_size: int, taken: int) -> None:
    assert fields.page_size(given_size) == taken


def test_a_negative_page_size_is_refused() -> None:
    with pytest.raises(InvalidField):
        fields.page_size(-1)


@given(st.text(st.characters(), max_size=60))
def test_text_that_passes_can_be_stored(value: str) -> None:
    """Whatever passes, Postgres takes: UTF-8 without NUL."""
    try:
        taken = fields.text(value, "field", longest=50)
    except InvalidField:
        return
    assert taken == value and len(value) <= 50 and b"\0" not in value.encode()


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb"])
def test_a_lone_surrogate_is_refused(value: str) -> None:
    with pytest.raises(InvalidField):
        fields.text(value, "field", longest=50)
