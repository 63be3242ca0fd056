"""The conformance suite against PayPal's side of the sandbox."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from server.domain.outcome import ActionRequired, Approved, Outcome
from server.domain.payment import Method
from server.processors.contract import Authorization, Processor, Wallet
from server.processors.paypal import PayPalEndpoint, PayPalProcessor
from tests.processors.accounts import PayPalAccount
from tests.processors.conformance import Conformance
from tests.processors.requests_to_processors import make_authorization
from tests.processors.sandbox_process import Json, Sandbox


class TestPayPal(Conformance):
    """See the module."""

    PROCESSOR = "paypal"
    AUTHORIZE = "paypal.orders.create"
    CAPTURE = "paypal.authorizations.capture"
    VOID = "paypal.authorizations.void"
    REFUND = "paypal.captures.refund"
    SUBMIT_EVIDENCE = "paypal.disputes.provide_evidence"
    ACCEPT_DISPUTE = "paypal.disputes.accept_claim"
    FEE = "paypal.fee"

    def make_adapter(self, api_base: str, **limits: Any) -> Processor:
        endpoint = PayPalEndpoint(
            api_base,
            certificate_hosts=frozenset({self.authority.host}),
            trust_anchor_pem=self.authority.anchor,
            allow_http_certificates=True,
            **limits,
        )
        return PayPalProcessor(endpoint)

    def make_account(self, sandbox: Sandbox) -> tuple[str, Mapping[str, str]]:
        at = PayPalAccount(sandbox)
        return at.books, at.account.credentials

    def good(self, **changes: Any) -> Authorization:
        return make_authorization(Wallet(), Method.DIGITAL_WALLET, **changes)

    def bad(self) -> Authorization:
        return make_authorization(Wallet(), Method.DIGITAL_WALLET, description="declined")

    def waiting(self, **changes: Any) -> Authorization:
        return self.good(**changes)

    async def finish(self, request: Authorization, outcome: Outcome) -> Outcome:
        if not isinstance(outcome, ActionRequired):
            return outcome
        self.sandbox.decide(
            outcome.redirect_url, "approve_declined" if request.description == "declined" else "approve"
        )
        known = replace(request, instrument=None, processor_payment_id=outcome.processor_payment_id)
        return await self._adapter.complete(self.account, known)

    def signed(self, event: Json, *, sent_at: datetime | None = None, secret: str | None = None) -> Any:
        body = json.dumps(event).encode()
        webhook_id = secret or self.account.credentials["webhook_id"]
        return self.authority.headers(webhook_id, body, sent_at or datetime.now(UTC)), body

    def event(self, request: Authorization, approved: Approved) -> Json:
        return {
            "id": "WH-58D329510W468432D",
            "event_type": "PAYMENT.CAPTURE.COMPLETED",
            "resource_type": "capture",
            "create_time": "2026-02-14T21:50:07.940Z",
            "resource": {
                "id": approved.processor_transaction_id,
                "custom_id": str(request.transaction_id),
                "amount": {"currency_code": "USD", "value": "19.99", "minor": 1999},
                "supplementary_data": {"related_ids": {"order_id": approved.processor_payment_id}},
            },
        }

    def dispute(self, captured: Approved, *, inquiry: bool = False, amount: int | None = None) -> str:
        capture = captured.processor_transaction_id
        made = self.sandbox.command("/sandbox/paypal/disputes", capture=capture, inquiry=inquiry, amount=amount)
        return str(made["dispute_id"])

    def decide(self, dispute_id: str, *, won: bool) -> None:
        self._set(dispute_id, "won" if won else "lost")

    def escalate(self, dispute_id: str) -> None:
        self._set(dispute_id, "claim")

    def withdraw(self, dispute_id: str) -> None:
        self._set(dispute_id, "cancelled")

    def refund_by_hand(self, captured: Approved, amount: int) -> None:
        self.sandbox.command("/sandbox/paypal/refunds", capture=captured.processor_transaction_id, amount=amount)

    def _set(self, dispute_id: str, status: str) -> None:
        self.sandbox.command(f"/sandbox/paypal/disputes/{dispute_id}", status=status)


del Conformance  # pytest would collect the abstract suite, too.
