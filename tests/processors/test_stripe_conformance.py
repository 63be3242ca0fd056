"""The conformance suite against Stripe's side of the sandbox."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import stripe

from server.domain.outcome import Approved, Outcome
from server.domain.payment import Method
from server.processors.contract import Authorization, Processor
from server.processors.stripe import StripeEndpoint, StripeProcessor
from tests.processors.accounts import StripeAccount
from tests.processors.conformance import Conformance
from tests.processors.requests_to_processors import make_authorization, make_card
from tests.processors.sandbox_process import Json, Sandbox

NEEDS_3DS = "4000002760003184"


class TestStripe(Conformance):
    """See the module."""

    PROCESSOR = "stripe"
    AUTHORIZE = "stripe.payment_intents.create"
    CAPTURE = "stripe.payment_intents.capture"
    VOID = "stripe.payment_intents.cancel"
    REFUND = "stripe.refunds.create"
    SUBMIT_EVIDENCE = "stripe.disputes.update"
    ACCEPT_DISPUTE = "stripe.disputes.close"
    FEE = "stripe.fee"

    def make_adapter(self, api_base: str, **limits: Any) -> Processor:
        return StripeProcessor(StripeEndpoint(api_base, **limits))

    def make_account(self, sandbox: Sandbox) -> tuple[str, Mapping[str, str]]:
        at = StripeAccount(sandbox)
        return at.books, at.account.credentials

    def good(self, **changes: Any) -> Authorization:
        return make_authorization(make_card(), Method.CREDIT_CARD, **changes)

    def bad(self) -> Authorization:
        return make_authorization(make_card("4000000000009995"), Method.CREDIT_CARD)

    def waiting(self, **changes: Any) -> Authorization:
        return make_authorization(make_card(NEEDS_3DS), Method.CREDIT_CARD, **changes)

    async def finish(self, request: Authorization, outcome: Outcome) -> Outcome:
        return outcome

    def signed(self, event: Json, *, sent_at: datetime | None = None, secret: str | None = None) -> Any:
        body = json.dumps(event)
        at = int((sent_at or datetime.now(UTC)).timestamp())
        used = secret or self.account.credentials["webhook_secret"]
        header = stripe.WebhookSignature.generate_signature_header(body, used, at)
        return {"stripe-signature": header}, body.encode()

    def event(self, request: Authorization, approved: Approved) -> Json:
        return {
            "id": "evt_1",
            "object": "event",
            "type": "payment_intent.succeeded",
            "created": 1_700_000_000,
            "data": {
                "object": {
                    "id": approved.processor_payment_id,
                    "object": "payment_intent",
                    "amount": 1999,
                    "metadata": {"kassa_transaction": str(request.transaction_id)},
                }
            },
        }

    def dispute(self, captured: Approved, *, inquiry: bool = False, amount: int | None = None) -> str:
        reason = "inquiry" if inquiry else "product_not_received"
        payment = {"payment_intent": captured.processor_payment_id, "account": self.books}
        made = self.sandbox.command("/sandbox/stripe/disputes", **payment, reason=reason, amount=amount)
        return str(made["id"])

    def decide(self, dispute_id: str, *, won: bool) -> None:
        self._set(dispute_id, "won" if won else "lost")

    def escalate(self, dispute_id: str) -> None:
        self._set(dispute_id, "needs_response")

    def withdraw(self, dispute_id: str) -> None:
        self._set(dispute_id, "warning_closed")

    def refund_by_hand(self, captured: Approved, amount: int) -> None:
        payment = {"payment_intent": captured.processor_payment_id, "account": self.books}
        self.sandbox.command("/sandbox/stripe/refunds", **payment, amount=amount)

    def _set(self, dispute_id: str, status: str) -> None:
        self.sandbox.command(f"/sandbox/stripe/disputes/{dispute_id}", status=status)


del Conformance  # pytest would collect the abstract suite, too.
