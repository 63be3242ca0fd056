"""Ends a review by an analyst's word. Money moves by the ordinary capture or void, in the payment's one slot.

So an analyst, the merchant's own capture or cancel, an expiry and another analyst exclude each other.
"""

from uuid import UUID

from server.domain.ids import new_id, random_id
from server.domain.payment import CaptureMethod, Payment, TransactionType
from server.domain.review import Ruling, Verdict
from server.domain.review_case import ReviewCase
from server.storage.answers import read_answer
from server.storage.approve_reviews import ApproveReview
from server.storage.claims import Claim, Replay
from server.storage.engine import Reads
from server.storage.payments import PaymentStore
from server.usecases.answers import Answer, Caller
from server.usecases.idempotency import RequestHasher
from server.usecases.operate import Operate
from server.usecases.patience import when_free
from server.usecases.reviews import find_case
from server.usecases.shielding import Shield

REJECTED = "REVIEW_REJECTED"
"""The reason of the void by which a review is rejected."""


def operation_for(payment: Payment, verdict: Verdict) -> TransactionType | None:
    """What carries a verdict out; None where no processor needs to be asked."""
    if verdict is Verdict.REJECT:
        return TransactionType.VOID
    return TransactionType.CAPTURE if payment.capture_method is CaptureMethod.AUTOMATIC else None


class DecideReview:
    """See the module."""

    def __init__(
        self, store: PaymentStore, reads: Reads, operate: Operate, hasher: RequestHasher, shield: Shield
    ) -> None:
        self._store, self._reads, self._operate, self._hasher, self._shield = store, reads, operate, hasher, shield

    async def __call__(
        self, merchant_id: UUID | None, key: str, payment_id: UUID, ruling: Ruling, request_id: str
    ) -> Answer[ReviewCase]:
        """Approves or rejects, and returns the review as it then stands: open still while the processor's word is lost.

        Args:
            merchant_id: Whose payment it must be; None for the platform. The key is one of the payment's merchant.

        Raises:
            KassaError: REVIEW_NOT_FOUND, REVIEW_CLOSED, REVIEW_CLAIMED, or what `Operate` is refused with.
        """
        case = await find_case(self._reads, merchant_id, payment_id)
        payment = case.payment
        caller = Caller(payment.merchant_id, payment.test_mode, request_id=request_id)
        kind = operation_for(payment, ruling.verdict)
        if kind is None:
            replayed = await self._shield.run(self._approve(caller, key, payment, ruling))
        else:
            reason = REJECTED if kind is TransactionType.VOID else ""
            replayed = (await self._operate(caller, key, payment.id, kind, None, reason, ruling)).replayed
        return Answer(await find_case(self._reads, payment.merchant_id, payment.id), replayed)

    async def _approve(self, caller: Caller, key: str, payment: Payment, ruling: Ruling) -> bool:
        """Lets the payment go on to its merchant; returns whether an earlier call with the key had done so."""
        claim = Claim(
            merchant_id=caller.merchant_id,
            key=key,
            attempt_id=random_id(),
            request_hash=self._hasher.hash("ApproveReview", {"payment_id": payment.id, "ruling": ruling}),
            payment_id=payment.id,
            transaction_id=new_id(),
            request_id=caller.request_id,
        )
        row = ApproveReview(payment.merchant_id, payment.id, ruling, claim)
        approved = await when_free(lambda: self._store.approve_review(row))
        if isinstance(approved, Replay):
            assert approved.answer is not None, "the answer is stored with the claim"
            read_answer(approved.answer)  # raises where it is a refusal
        return isinstance(approved, Replay)
