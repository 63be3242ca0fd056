"""Payment requests from the wire, checked and turned into what use cases take. Called by `rpc.payment_service`."""

from datetime import datetime
from typing import assert_never

from kassa.v1 import payment_service_pb2 as pb

from server.domain.card import Card, check_card, holds_printed_number, writes_number
from server.domain.errors import InvalidField
from server.domain.payment import Address, CaptureMethod, Customer, Method, RefundReason, State
from server.processors.contract import BankOrCrypto, Instrument, ProcessorToken, Wallet
from server.rpc import fields
from server.rpc.vocabulary import take, take_optional, to_wire
from server.storage.reads import PaymentFilter
from server.usecases.create_payment import CreatePaymentCommand

_METHODS = {wire: domain for domain, wire in to_wire(Method, pb.Payment.Method).items()}
_STATES = {wire: domain for domain, wire in to_wire(State, pb.Payment.State).items()}
_CAPTURE_METHODS = {wire: domain for domain, wire in to_wire(CaptureMethod, pb.Payment.CaptureMethod).items()}
_REFUND_REASONS = {wire: domain for domain, wire in to_wire(RefundReason, pb.Refund.Reason).items()}

_MAX_NAME, _MAX_LINE, _MAX_POSTAL_CODE, _MAX_TOKEN = 200, 200, 32, 255
_MAX_DESCRIPTION, _MAX_REASON, _MAX_USER_AGENT = 1_000, 500, 1_000


def parse_create(request: pb.CreatePaymentRequest, supported: frozenset[str], now: datetime) -> CreatePaymentCommand:
    """Reads a CreatePayment.

    Args:
        supported: Currencies that payments may use.
        now: Against which cards expire.

    Raises:
        InvalidField: The first field that is wrong.
        KassaError: CURRENCY_NOT_SUPPORTED.
    """
    method = take(_METHODS, request.method, "method")
    instrument = _instrument(request, method, now)
    redirects = method in {Method.DIGITAL_WALLET, Method.CRYPTOCURRENCY}
    command = CreatePaymentCommand(
        amount=fields.amount(request.amount),
        currency=fields.currency(request.currency, "currency", supported),
        method=method,
        capture_method=take_optional(_CAPTURE_METHODS, request.capture_method, "capture_method")
        or CaptureMethod.AUTOMATIC,
        instrument=instrument,
        customer=_customer(request.customer) if request.HasField("customer") else Customer(),
        billing_address=_address(request.billing_address, "billing_address")
        if request.HasField("billing_address")
        else Address(),
        shipping_address=_address(request.shipping_address, "shipping_address")
        if request.HasField("shipping_address")
        else Address(),
        description=fields.text(request.description, "description", longest=_MAX_DESCRIPTION),
        metadata=fields.metadata(request.metadata),
        return_url=fields.url(request.return_url, "return_url", required=redirects),
        cancel_url=fields.url(request.cancel_url, "cancel_url", required=method is Method.DIGITAL_WALLET),
    )
    _check_card_numbers(command, instrument)
    return command


def parse_filter(request: pb.ListPaymentsRequest) -> PaymentFilter:
    """Reads the filters of a ListPayments.

    Raises:
        InvalidField: The first field that is wrong.
    """
    return PaymentFilter(
        state=take_optional(_STATES, request.state, "state"),
        method=take_optional(_METHODS, request.method, "method"),
        customer_id=fields.text(request.customer_id, "customer_id", longest=_MAX_NAME) or None,
        created_after=fields.instant(request.created_after, "created_after")
        if request.HasField("created_after")
        else None,
        created_before=fields.instant(request.created_before, "created_before")
        if request.HasField("created_before")
        else None,
    )


def parse_amount(request: pb.CapturePaymentRequest | pb.RefundPaymentRequest) -> int | None:
    """Reads an amount in minor units that may be absent; None means all there is."""
    return fields.amount(request.amount) if request.HasField("amount") else None


def parse_refund_reason(request: pb.RefundPaymentRequest) -> RefundReason | None:
    """Reads why money goes back."""
    return take_optional(_REFUND_REASONS, request.reason, "reason")


def parse_cancel_reason(request: pb.CancelPaymentRequest) -> str:
    """Reads why a payment is called off, in the merchant's words."""
    reason = fields.text(request.reason, "reason", longest=_MAX_REASON)
    if holds_printed_number(reason):
        raise InvalidField("reason", "must not contain a card number")
    return reason


def _instrument(request: pb.CreatePaymentRequest, method: Method, now: datetime) -> Instrument:
    given = request.WhichOneof("instrument")
    accepted: tuple[str, ...]
    match method:
        case Method.CREDIT_CARD | Method.DEBIT_CARD:
            accepted = ("card", "card_token", "processor_token")
        case Method.BANK_TRANSFER | Method.CRYPTOCURRENCY:
            accepted = ("processor_token",)
            if given is None:
                return BankOrCrypto()
        case Method.DIGITAL_WALLET:
            accepted = ("wallet",)
        case _:
            assert_never(method)
    if given is None:
        raise InvalidField(accepted[0], f"is required: {method.value} needs {' or '.join(accepted)}")
    if given not in accepted:
        raise InvalidField(given, f"does not fit {method.value}, which takes {' or '.join(accepted)}")
    return _given_instrument(request, given, now)


def _given_instrument(request: pb.CreatePaymentRequest, given: str, now: datetime) -> Instrument:
    match given:
        case "card":
            return _card(request.card, now)
        case "processor_token":
            token = fields.text(request.processor_token, "processor_token", longest=_MAX_TOKEN, required=True)
            # What a processor keeps is named in ASCII; a card number is not a token.
            if not token.isascii() or not token.isprintable() or token.isdigit():
                raise InvalidField("processor_token", "must be a token of the processor, such as pm_…")
            return ProcessorToken(token)
        case "wallet":
            if request.wallet.provider not in {pb.Wallet.PROVIDER_UNSPECIFIED, pb.Wallet.PAYPAL}:
                raise InvalidField("wallet.provider", "must be PAYPAL")
            return Wallet()
        case _:
            raise InvalidField("card_token", "names no card that is stored")


def _card(given: pb.Card, now: datetime) -> Card:
    card = Card(
        number=given.number,
        exp_month=given.exp_month,
        exp_year=given.exp_year,
        cvc=given.cvc,
        holder=fields.text(given.holder, "card.holder", longest=_MAX_NAME),
    )
    check_card(card, now)
    return card


def _customer(given: pb.Customer) -> Customer:
    return Customer(
        id=fields.text(given.id, "customer.id", longest=_MAX_NAME),
        email=fields.email(given.email, "customer.email"),
        ip=fields.ip(given.ip, "customer.ip"),
        device_id=fields.text(given.device_id, "customer.device_id", longest=_MAX_NAME),
        phone=fields.phone(given.phone, "customer.phone"),
        user_agent=fields.text(given.user_agent, "customer.user_agent", longest=_MAX_USER_AGENT),
    )


def _address(given: pb.Address, field: str) -> Address:
    return Address(
        line1=fields.text(given.line1, f"{field}.line1", longest=_MAX_LINE),
        line2=fields.text(given.line2, f"{field}.line2", longest=_MAX_LINE),
        city=fields.text(given.city, f"{field}.city", longest=_MAX_LINE),
        region=fields.text(given.region, f"{field}.region", longest=_MAX_LINE),
        postal_code=fields.text(given.postal_code, f"{field}.postal_code", longest=_MAX_POSTAL_CODE),
        country=fields.country(given.country, f"{field}.country"),
    )


def _lines(address: Address) -> str:
    return "|".join((address.line1, address.line2, address.city, address.region, address.postal_code))


def _check_card_numbers(command: CreatePaymentCommand, instrument: Instrument) -> None:
    """Refuses card numbers in fields that are stored as they come, or that rules see.

    The one that pays is refused in all of them, any other where people write: what shops' programs write has numbers of
    its own, and a payment must not be refused for one that looks like a card's.
    """
    written = {
        "card.holder": instrument.holder if isinstance(instrument, Card) else "",
        "description": command.description,
    }
    kept = written | {
        "metadata": "|".join((*command.metadata.keys(), *command.metadata.values())),
        "customer.id": command.customer.id,
        "customer.email": command.customer.email,
        "customer.device_id": command.customer.device_id,
        "customer.phone": command.customer.phone,
        "customer.user_agent": command.customer.user_agent,
        "billing_address": _lines(command.billing_address),
        "shipping_address": _lines(command.shipping_address),
        "return_url": command.return_url,
        "cancel_url": command.cancel_url,
    }
    if isinstance(instrument, Card):
        for field, value in kept.items():
            if writes_number(value, instrument.number):
                raise InvalidField(field, "must not contain the card number")
    for field, value in written.items():
        if holds_printed_number(value):
            raise InvalidField(field, "must not contain a card number")
