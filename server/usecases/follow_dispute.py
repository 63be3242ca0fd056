"""Follows a dispute: reads it at its processor, tells that the merchant's answer, and settles how it then stands.

Called for a dispute's events, by recovery, and by `answer_dispute`. An event moves no money: what is settled is read.
"""

import logging
from uuid import UUID

from server.domain.dispute import Dispute, DisputeStanding
from server.domain.dispute_answer import PendingAnswer, pending_answer
from server.domain.errors import KassaError, Reason
from server.domain.payment import Payment, Transaction
from server.domain.processor_call import ProcessorCall
from server.processors.contract import (
    Account,
    DisputeAnswer,
    OutcomeUnknown,
    Processor,
    ProcessorRejected,
    ProcessorUnavailable,
)
from server.processors.exchanges import recording
from server.storage.dispute_answers import LetGo
from server.storage.disputes import find_dispute
from server.storage.payments import PaymentStore
from server.storage.settle_disputes import DisputeSettled, SettleDispute
from server.usecases.act import Accounts, Processors

Calls = list[ProcessorCall]
_TRIES = 5
_log = logging.getLogger(__name__)


class FollowDispute:
    """See the module."""

    def __init__(self, store: PaymentStore, accounts: Accounts, processors: Processors) -> None:
        self._store, self._accounts, self._processors = store, accounts, processors

    async def read(self, payment: Payment, processor_dispute_id: str) -> Dispute:
        """Brings a dispute of the payment up to date, one that was not known here too.

        Raises:
            OutcomeUnknown, ProcessorUnavailable, ProcessorRejected: The processor could not say.
            KassaError: OPERATION_IN_PROGRESS: others settle readings faster than we read; SERVICE_UNAVAILABLE.
        """
        with recording() as calls:
            return await self._read(payment, processor_dispute_id, calls)

    async def carry_on(self, payment: Payment, transaction: Transaction, owner: UUID) -> Dispute | None:
        """Sends the answer that a dispute's transaction carries, else reads the dispute; the lease is `owner`'s.

        Returns:
            The dispute; None where nothing was learnt, and it is tried again later.

        Raises:
            KassaError: PROCESSOR_REFUSED: the processor will not have the answer, and the dispute goes on without.
        """
        answer = pending_answer(transaction)
        lease = (transaction.merchant_id, transaction.payment_id, transaction.id, owner)
        with recording() as calls:
            try:
                if answer is None:
                    return await self._read(payment, transaction.processor_transaction_id, calls)
                return await self._answer(payment, transaction, answer, calls)
            except (OutcomeUnknown, ProcessorUnavailable) as lost:
                _log.warning("dispute %s: nothing learnt: %s", transaction.processor_transaction_id, lost)
                await self._store.let_go(LetGo(*lease, calls=tuple(calls)))
                return None
            except ProcessorRejected as rejected:
                _log.warning("dispute %s: refused: %s", transaction.processor_transaction_id, rejected.code)
                refusal = _refusal(rejected)
                ours = await self._store.let_go(LetGo(*lease, refusal, tuple(calls)))
                if answer is None or not ours:  # whoever has it by now, or had it before, knows better
                    return None
                raise refusal from None

    async def _read(self, payment: Payment, processor_dispute_id: str, calls: Calls) -> Dispute:
        account, processor = await self._reach(payment)
        version = await self._version(payment, processor_dispute_id)
        standing = await processor.read_dispute(account, processor_dispute_id)
        return await self._settle(payment, version, standing, calls)

    async def _answer(self, payment: Payment, transaction: Transaction, answer: PendingAnswer, calls: Calls) -> Dispute:
        account, processor = await self._reach(payment)
        processor_dispute_id = transaction.processor_transaction_id
        version = await self._version(payment, processor_dispute_id)
        told = DisputeAnswer(key=answer.id, processor_dispute_id=processor_dispute_id, evidence=answer.evidence)
        standing = await processor.answer_dispute(account, told)
        return await self._settle(payment, version, standing, calls, answer.id)

    async def _settle(
        self, payment: Payment, version: int, standing: DisputeStanding, calls: Calls, answered: str | None = None
    ) -> Dispute:
        """Settles a reading, and makes it again for as long as another one was settled since it began."""
        account, processor = await self._reach(payment)
        for _ in range(_TRIES):
            row = SettleDispute(payment.merchant_id, payment.id, version, standing, answered, tuple(calls))
            calls.clear()  # they are kept with this row, whatever comes of it
            settled = await self._store.settle_dispute(row)
            if isinstance(settled, DisputeSettled):
                return settled.dispute
            version = settled.version
            standing = await processor.read_dispute(account, standing.processor_dispute_id)
        raise KassaError(Reason.OPERATION_IN_PROGRESS, "The dispute is being read by others. Try again.")

    async def _version(self, payment: Payment, processor_dispute_id: str) -> int:
        known = await self._store.read(
            find_dispute, payment.merchant_id, payment.processor_account_id, processor_dispute_id
        )
        return 0 if known is None else known.version

    async def _reach(self, payment: Payment) -> tuple[Account, Processor]:
        return await self._accounts.by_id(payment.processor_account_id), self._processors.get(payment.processor)


def _refusal(rejected: ProcessorRejected) -> KassaError:
    return KassaError(
        Reason.PROCESSOR_REFUSED,
        "The processor refused this answer; the dispute waits for another one.",
        metadata={"code": rejected.code},
    )
