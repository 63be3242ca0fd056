"""Reads and answers disputes at Stripe, and reads the warnings that come before them. `adapter` calls."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stripe import RequestOptions

from server.domain.dispute import DisputeStanding, DisputeState
from server.processors.contract import Account, DisputeAnswer, FraudWarning, ProcessorRejected
from server.processors.stripe.answers import read, write
from server.processors.stripe.connection import StripeConnection
from server.processors.stripe.refusals import Refusal
from server.processors.stripe.standing import evidence_hash, standing

_PAGE = 100


class Disputes:
    """Every method raises `OutcomeUnknown`, `ProcessorUnavailable` or `ProcessorRejected`."""

    def __init__(self, connection: StripeConnection) -> None:
        self._connection = connection

    async def read(self, account: Account, dispute_id: str) -> DisputeStanding:
        """Reads a dispute with its balance transactions."""
        return read(standing, await self._connection.get(account, f"/v1/disputes/{dispute_id}"))

    async def opened_since(self, account: Account, since: datetime) -> list[str]:
        """Lists the ids of the disputes that were opened since a moment: https://docs.stripe.com/api/disputes/list"""
        found: list[str] = []
        params: Any = {"created": {"gte": int(since.timestamp())}, "limit": _PAGE}
        more = True
        while more:
            page = await self._connection.get(account, "/v1/disputes", params)
            found += read(lambda told: [str(one["id"]) for one in told["data"]], page)
            more = bool(page.get("has_more"))
            params = {**params, "starting_after": found[-1]} if found else params
        return found

    async def answer(self, account: Account, answer: DisputeAnswer) -> DisputeStanding:
        """Submits the evidence or accepts, then reads: under a known key Stripe repeats how it stood at first.

        A refusal counts only where the dispute still waits for an answer.
        """
        refusal = await self._submit(account, answer)
        stands = await self.read(account, answer.processor_dispute_id)
        if refusal is not None and stands.state is DisputeState.NEEDS_RESPONSE:
            raise ProcessorRejected(refusal.code or refusal.kind or "invalid_request")
        return stands

    async def warning(self, account: Account, warning_id: str) -> FraudWarning:
        """Reads what a network tells before there is a dispute: https://docs.stripe.com/api/radar/early_fraud_warnings"""
        return read(_warning, await self._connection.get(account, f"/v1/radar/early_fraud_warnings/{warning_id}"))

    async def _submit(self, account: Account, answer: DisputeAnswer) -> Refusal | None:
        dispute_id, options = answer.processor_dispute_id, RequestOptions(idempotency_key=answer.key)
        evidence = answer.evidence
        try:
            if evidence is None:
                await self._connection.post(account, f"/v1/disputes/{dispute_id}/close", {}, options)
            else:
                params: Any = {"evidence": write(lambda: evidence_hash(evidence)), "submit": True}
                await self._connection.post(account, f"/v1/disputes/{dispute_id}", params, options)
        except Refusal as refusal:
            return refusal
        return None


def _warning(told: Mapping[str, Any]) -> FraudWarning:
    objects = (told["charge"], told.get("payment_intent"))
    return FraudWarning(tuple(str(one) for one in objects if one), str(told["fraud_type"]))
