"""How the conformance suite drives a processor: each adapter's tests say it in a subclass of `Conformance`."""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from typing import Any
from uuid import uuid4

import pytest

from server.domain.outcome import ActionRequired, Approved, Outcome
from server.domain.processor_call import ProcessorCall
from server.processors.contract import (
    Account,
    Authorization,
    Processor,
    Void,
)
from server.processors.exchanges import recording
from tests.processors.opened import opened
from tests.processors.paypal_authority import Authority
from tests.processors.requests_to_processors import PLANTED, make_void
from tests.processors.sandbox_process import Json, Sandbox


class Driver(ABC):
    """One processor at the sandbox. Operations are named as the sandbox's faults name them."""

    PROCESSOR: str
    AUTHORIZE: str
    CAPTURE: str
    VOID: str
    REFUND: str
    SUBMIT_EVIDENCE: str
    ACCEPT_DISPUTE: str
    FEE: str

    sandbox: Sandbox
    account: Account
    books: str
    """The sandbox's id of the account."""

    @abstractmethod
    def make_adapter(self, api_base: str, **limits: Any) -> Processor:
        """An adapter that reaches its processor at this address."""

    @abstractmethod
    def make_account(self, sandbox: Sandbox) -> tuple[str, Mapping[str, str]]:
        """Registers an account; returns the sandbox's id and our credentials."""

    @abstractmethod
    def good(self, **changes: Any) -> Authorization:
        """An authorization that succeeds."""

    @abstractmethod
    def bad(self) -> Authorization:
        """An authorization that the customer's bank declines for want of money."""

    @abstractmethod
    def waiting(self, **changes: Any) -> Authorization:
        """An authorization that waits for its customer."""

    @abstractmethod
    async def finish(self, request: Authorization, outcome: Outcome) -> Outcome:
        """Does the customer's part, where the method has one, and carries on."""

    @abstractmethod
    def signed(self, event: Json, *, sent_at: datetime | None = None, secret: str | None = None) -> Any:
        """Headers and body of a webhook, signed as the processor signs."""

    @abstractmethod
    def event(self, request: Authorization, approved: Approved) -> Json:
        """An event about a payment."""

    @abstractmethod
    def dispute(self, captured: Approved, *, inquiry: bool = False, amount: int | None = None) -> str:
        """Lets the customer dispute a capture since nothing came, or only ask about it; the dispute's id."""

    @abstractmethod
    def decide(self, dispute_id: str, *, won: bool) -> None:
        """Ends a dispute, for the merchant or for the customer."""

    @abstractmethod
    def escalate(self, dispute_id: str) -> None:
        """Makes a dispute of an inquiry."""

    @abstractmethod
    def withdraw(self, dispute_id: str) -> None:
        """Ends an inquiry without a verdict."""

    @abstractmethod
    def refund_by_hand(self, captured: Approved, amount: int) -> None:
        """Refunds in the processor's dashboard."""

    @pytest.fixture(autouse=True)
    def _account(self, sandbox: Sandbox, authority: Authority) -> None:
        self.sandbox, self.authority = sandbox, authority
        self.books, credentials = self.make_account(sandbox)
        self.account = Account(uuid4(), uuid4(), self.PROCESSOR, True, credentials)

    @pytest.fixture(autouse=True)
    def _recorded(self, _account: None) -> Iterator[None]:
        """Records every call of every scenario, and looks at the end for what must never be kept."""
        with recording() as calls:
            yield
        self.calls_were_recorded(calls)

    def calls_were_recorded(self, calls: list[ProcessorCall]) -> None:
        """Fails where a secret, card data or what tells of the customer was recorded."""
        kept = "\n".join(repr(call) for call in calls)
        own = [value for name, value in self.account.credentials.items() if name != "webhook_id"]
        assert [secret for secret in (*own, *PLANTED) if secret in kept] == []
        assert all(call.operation.startswith(("GET v", "POST v")) for call in calls)

    @pytest.fixture
    async def adapter(self, _account: None) -> AsyncIterator[Processor]:
        """The adapter under test."""
        async with opened(self.make_adapter(self.sandbox.url)) as found:
            self._adapter = found
            yield found

    async def take(self, adapter: Processor, **changes: Any) -> tuple[Authorization, Approved]:
        """Brings a good payment to its approval."""
        request = self.good(**changes)
        outcome = await self.finish(request, await adapter.authorize(self.account, request))
        assert isinstance(outcome, Approved), outcome
        return request, outcome

    @staticmethod
    def call_off(request: Authorization, waiting: ActionRequired) -> Void:
        """Calls off a payment that waits for its customer."""
        unknown_hold = Approved(
            processor_payment_id=waiting.processor_payment_id, processor_transaction_id="", amount=1, currency="USD"
        )
        return make_void(request, unknown_hold)

    def booked(self) -> Json:
        """The account's only payment in the processor's books."""
        (payment,) = self.sandbox.payments(self.books)
        return payment
