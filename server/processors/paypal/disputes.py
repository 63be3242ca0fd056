"""Reads and answers disputes at PayPal. `adapter` calls."""

from server.domain.dispute import DisputeStanding, DisputeState
from server.processors.contract import Account, DisputeAnswer, OutcomeUnknown, ProcessorRejected
from server.processors.paypal.answers import read, write
from server.processors.paypal.api import Form
from server.processors.paypal.connection import Json, PayPalConnection
from server.processors.paypal.evidence import evidences
from server.processors.paypal.refusals import Refusal
from server.processors.paypal.standing import standing

_PATH = "v1/customer/disputes"
_ACCEPTED: Json = {"note": "Full refund to the customer.", "accept_claim_type": "REFUND"}


class Disputes:
    """Every method raises `OutcomeUnknown`, `ProcessorUnavailable` or `ProcessorRejected`."""

    def __init__(self, connection: PayPalConnection) -> None:
        self._connection = connection

    async def read(self, account: Account, dispute_id: str) -> DisputeStanding:
        """Reads a dispute with its money movements."""
        try:
            dispute = await self._connection.get(account, f"{_PATH}/{dispute_id}")
        except Refusal as refusal:
            raise OutcomeUnknown(str(refusal)) from None
        return read(standing, dispute)

    async def answer(self, account: Account, answer: DisputeAnswer) -> DisputeStanding:
        """Provides the evidence or accepts, then reads, since PayPal answers with a link alone.

        A refusal counts only where the dispute still waits for the seller.
        """
        refusal = await self._submit(account, answer)
        stands = await self.read(account, answer.processor_dispute_id)
        if refusal is not None and stands.state is DisputeState.NEEDS_RESPONSE:
            raise ProcessorRejected(refusal.issue)
        return stands

    async def _submit(self, account: Account, answer: DisputeAnswer) -> Refusal | None:
        path, evidence = f"{_PATH}/{answer.processor_dispute_id}", answer.evidence
        try:
            if evidence is None:
                await self._connection.post(account, f"{path}/accept-claim", _ACCEPTED, answer.key)
            else:
                form = Form(write(lambda: evidences(evidence)))
                await self._connection.post(account, f"{path}/provide-evidence", form, answer.key)
        except Refusal as refusal:
            return refusal
        return None
