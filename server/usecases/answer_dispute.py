"""Answers a dispute: accepts it as lost, or submits evidence against it. One key answers once, whatever crashes."""

import asyncio
import time
from uuid import UUID

from server.domain.dispute import Dispute, Evidence
from server.domain.errors import KassaError, Reason
from server.domain.ids import random_id
from server.storage.claims import Claim, Replay
from server.storage.dispute_answers import OpenAnswer, read_dispute_answer
from server.storage.payments import PaymentStore
from server.storage.reads import get_claim
from server.usecases.answers import Answer, Caller
from server.usecases.follow_dispute import FollowDispute
from server.usecases.idempotency import RequestHasher
from server.usecases.patience import when_free
from server.usecases.read_disputes import find_own_dispute
from server.usecases.shielding import Shield

_WAIT_S, _LOOK_EVERY_S = 2.0, 0.05


class AnswerDispute:
    """See the module.

    Args:
        lease_s: Seconds for which only this attempt may act; longer than the processor's deadline.
    """

    def __init__(
        self, store: PaymentStore, follow: FollowDispute, hasher: RequestHasher, shield: Shield, *, lease_s: float
    ) -> None:
        self._store, self._follow, self._hasher, self._shield = store, follow, hasher, shield
        self._lease_s = lease_s

    async def __call__(self, caller: Caller, key: str, dispute_id: UUID, evidence: Evidence | None) -> Answer[Dispute]:
        """Tells the processor the merchant's answer.

        Args:
            evidence: None accepts the dispute.

        Raises:
            KassaError: DISPUTE_NOT_FOUND, DISPUTE_STATE_INVALID, DISPUTE_DEADLINE_PASSED, OPERATION_IN_PROGRESS,
                PROCESSOR_REFUSED, or REQUEST_IN_FLIGHT: the processor's reply was lost, and recovery asks again.
        """
        dispute = await find_own_dispute(self._store, caller.merchant_id, dispute_id)
        claim = Claim(
            merchant_id=caller.merchant_id,
            key=key,
            attempt_id=random_id(),
            request_hash=self._hasher.hash("AnswerDispute", {"dispute_id": dispute_id, "evidence": evidence}),
            payment_id=dispute.payment_id,
            transaction_id=dispute.transaction_id,
        )
        return await self._shield.run(self._do(OpenAnswer(claim, dispute.id, evidence, random_id(), self._lease_s)))

    async def _do(self, row: OpenAnswer) -> Answer[Dispute]:
        opened = await when_free(lambda: self._store.open_answer(row))
        if isinstance(opened, Replay):
            return await self._repeat(row.claim, opened)
        answered = await self._follow.carry_on(opened.payment, opened.transaction, row.owner)
        if answered is None:
            raise _in_flight()
        return Answer(answered)

    async def _repeat(self, claim: Claim, replay: Replay) -> Answer[Dispute]:
        """Waits for the first call's answer; where its process is gone, recovery sends it again and stores it."""
        deadline = time.monotonic() + _WAIT_S
        found: Replay | None = replay
        while found is not None and found.answer is None and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_EVERY_S)
            found = await self._store.read(get_claim, claim.merchant_id, claim.key)
        if found is None or found.answer is None:
            raise _in_flight()
        return Answer(read_dispute_answer(found.answer), replayed=True)


def _in_flight() -> KassaError:
    return KassaError(
        Reason.REQUEST_IN_FLIGHT,
        "The processor has not confirmed the answer yet. Repeat the request with the same idempotency key in a second.",
        metadata={"retry_after_s": "1"},
    )
