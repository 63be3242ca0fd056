"""Takes a payment: open, screen, act, settle. The one road on which money is first asked for."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from server.clock import utc_now
from server.domain.card import Card
from server.domain.daily_limit import daily_limit
from server.domain.ids import new_id, random_id
from server.domain.normal_form import domain_of, one_line, one_line_of
from server.domain.payment import (
    Address,
    CaptureMethod,
    CardSummary,
    Customer,
    Method,
    Payment,
    State,
    Transaction,
    TransactionState,
    TransactionType,
)
from server.domain.velocity import Traces, Velocity
from server.processors.capabilities import require
from server.processors.contract import Account, Instrument, MethodRule, Processor
from server.storage.claims import Claim, Replay
from server.storage.open_payments import OpenPayment, Screen
from server.storage.payments import PaymentStore
from server.usecases.act import Accounts, Act
from server.usecases.answers import Answer, Caller
from server.usecases.idempotency import RequestHasher
from server.usecases.replay import Replays, in_flight
from server.usecases.shielding import Shield


@dataclass(frozen=True, slots=True)
class CreatePaymentCommand:
    """A parsed and checked request. `amount` is in minor units of `currency`."""

    amount: int
    currency: str
    method: Method
    capture_method: CaptureMethod
    instrument: Instrument
    customer: Customer
    billing_address: Address
    shipping_address: Address
    description: str
    metadata: Mapping[str, str]
    return_url: str
    cancel_url: str


class Screening(Protocol):
    """Decides payments by the ruleset in force."""

    def prepare(
        self, payment: Payment, card: Card | None, time_zone: str, card_fingerprint: str, *, can_hold: bool,
        can_challenge: bool, merchant_since: datetime | None,
    ) -> tuple[tuple[Velocity, ...], Screen]:  # fmt: skip
        """The numbers that the ruleset asks for, and what decides the payment with them."""


class Routing(Protocol):
    """Chooses the processor of a method."""

    def processor_for(self, method: Method) -> str:
        """The processor's name."""

    def get(self, name: str) -> Processor:
        """Its adapter."""


class CreatePayment:
    """See the module.

    Args:
        lease_s: Seconds for which only this attempt may act; longer than the processor's deadline.
        max_daily_transactions: Payments a day, of a merchant without a limit of its own; None for no limit.
    """

    def __init__(
        self, store: PaymentStore, accounts: Accounts, routing: Routing, screening: Screening, act: Act,
        replays: Replays, hasher: RequestHasher, shield: Shield, *, lease_s: float,
        max_daily_transactions: int | None = None,
    ) -> None:  # fmt: skip
        self._store, self._accounts, self._routing, self._screening = store, accounts, routing, screening
        self._act, self._replays, self._hasher, self._shield = act, replays, hasher, shield
        self._lease_s, self._max_daily_transactions = lease_s, max_daily_transactions

    async def __call__(self, caller: Caller, key: str, command: CreatePaymentCommand) -> Answer[Payment]:
        """Makes one payment for one key, however often it is called.

        Returns:
            The payment: FAILED when declined or blocked, PROCESSING while its fate is unknown.

        Raises:
            KassaError: The request cannot be done, or belongs to another use of its key, and nothing was asked of a
                processor; or REQUEST_IN_FLIGHT: it goes on, and a repeat will tell.
        """
        name = self._routing.processor_for(command.method)
        account = await self._accounts.for_merchant(caller.merchant_id, name)
        hold = command.capture_method is CaptureMethod.MANUAL
        capabilities = self._routing.get(name).capabilities
        require(capabilities, name, command.method, command.currency, command.amount, hold=hold)
        return await self._shield.run(self._take(caller, key, command, account, capabilities.methods[command.method]))

    async def _take(
        self, caller: Caller, key: str, command: CreatePaymentCommand, account: Account, rule: MethodRule
    ) -> Answer[Payment]:
        holder = command.instrument.holder if isinstance(command.instrument, Card) else ""
        row, until = self._row(caller, key, command, account, rule), time.monotonic() + self._lease_s
        opened = await self._store.open_payment(row)
        if isinstance(opened, Replay):
            if opened.answer is None and opened.transaction_id == row.transaction.id:
                raise in_flight()  # it is this very row, written before a COMMIT was lost, and its lease is over
            answer = await self._replays(
                caller.merchant_id, key, opened,
                lambda p, t, end: self._act.repeat(p, t, command.instrument, holder, until=end),
            )  # fmt: skip
            assert isinstance(answer.value, Payment)
            return Answer(answer.value, answer.replayed)
        if opened.payment.state is State.FAILED:
            return Answer(opened.payment)
        settled = await self._act.authorize(opened.payment, opened.transaction, command.instrument, holder, until=until)
        return Answer(settled.payment)

    def _row(
        self, caller: Caller, key: str, command: CreatePaymentCommand, account: Account, rule: MethodRule
    ) -> OpenPayment:
        now = utc_now()
        payment = _new_payment(caller, command, account, now)
        transaction = _first_authorization(payment, key, caller.request_id)
        card = command.instrument if isinstance(command.instrument, Card) else None
        traces = self._traces(payment, card)
        velocity, screen = self._screening.prepare(
            payment,
            card,
            caller.time_zone,
            traces.card_fingerprint,
            can_hold=rule.holds,
            can_challenge=rule.challenge,
            merchant_since=caller.merchant_since,
        )
        if any(one.platform for one in velocity):
            traces = replace(traces, platform=self._platform(payment, traces))
        fields = {name: getattr(command, name) for name in CreatePaymentCommand.__slots__}
        return OpenPayment(
            claim=Claim(
                merchant_id=caller.merchant_id,
                key=key,
                attempt_id=random_id(),
                request_hash=self._hasher.hash("CreatePayment", fields),
                payment_id=payment.id,
                transaction_id=transaction.id,
            ),
            payment=payment,
            transaction=transaction,
            traces=traces,
            velocity=velocity,
            screen=screen,
            owner=random_id(),
            lease_s=self._lease_s,
            limit=daily_limit(caller.max_daily_transactions or self._max_daily_transactions, caller.time_zone, now),
        )

    def _platform(self, payment: Payment, traces: Traces) -> dict[str, str]:
        values = {
            "card": traces.card_fingerprint,
            "email": traces.email_key,
            "ip": payment.customer.ip,
            "device": payment.customer.device_id,
            "holder_name": traces.holder_hash,
            "shipping_address": traces.shipping_key,
        }
        return self._hasher.platform(values, test_mode=payment.test_mode)

    def _traces(self, payment: Payment, card: Card | None) -> Traces:
        parcel = payment.shipping_address
        return Traces(
            card_fingerprint=self._hasher.fingerprint(card.number) if card else "",
            card_bin=card.bin if card else "",
            email_key=payment.customer.email.lower(),
            email_domain=domain_of(payment.customer.email),
            holder_hash=self._hasher.trace("holder", one_line(card.holder)) if card else "",
            # A country alone is no address that anything could be sent to.
            shipping_key=self._hasher.trace("address", one_line_of(parcel))
            if parcel.line1 or parcel.postal_code
            else "",
        )


def _new_payment(caller: Caller, command: CreatePaymentCommand, account: Account, now: datetime) -> Payment:
    card = command.instrument if isinstance(command.instrument, Card) else None
    return Payment(
        id=new_id(),
        merchant_id=caller.merchant_id,
        state=State.PROCESSING,
        amount=command.amount,
        currency=command.currency,
        method=command.method,
        capture_method=command.capture_method,
        amount_authorized=0,
        amount_captured=0,
        amount_refunded=0,
        amount_refunding=0,
        amount_disputed=0,
        beyond_limit=False,
        card=CardSummary(card.brand, card.last4, card.exp_month, card.exp_year) if card else None,
        customer=command.customer,
        billing_address=command.billing_address,
        shipping_address=command.shipping_address,
        description=command.description,
        metadata=command.metadata,
        return_url=command.return_url,
        cancel_url=command.cancel_url,
        redirect_url="",
        failure=None,
        fraud=None,
        processor=account.processor,
        processor_account_id=account.id,
        processor_payment_id="",
        processor_authorization_id="",
        processor_capture_id="",
        test_mode=caller.test_mode,
        created_at=now,
        updated_at=now,
    )


def _first_authorization(payment: Payment, key: str, request_id: str) -> Transaction:
    return Transaction(
        id=new_id(),
        merchant_id=payment.merchant_id,
        payment_id=payment.id,
        type=TransactionType.AUTHORIZATION,
        state=TransactionState.PENDING,
        amount=payment.amount,
        currency=payment.currency,
        processor=payment.processor,
        processor_account_id=payment.processor_account_id,
        processor_transaction_id="",
        reason="",
        failure=None,
        waiting=False,
        attempts=0,
        idempotency_keys=(key,),
        created_at=payment.created_at,
        updated_at=payment.created_at,
        detail={"request_id": request_id},
    )
