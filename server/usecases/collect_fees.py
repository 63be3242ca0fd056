"""Asks processors what they kept of captures whose fee was not known when they settled. Called by the worker."""

import asyncio
import logging
from datetime import timedelta

from server.domain.attention import AttentionKind
from server.processors.contract import Fee, OutcomeUnknown, ProcessorRejected, ProcessorUnavailable
from server.storage.attention import Attention, insert_attention
from server.storage.fees import BookFees, FeeDue, take_fees_due
from server.storage.payments import PaymentStore
from server.storage.reads import get_payment
from server.storage.short_transactions import ShortTransactions
from server.usecases.act import Accounts, Processors
from server.usecases.side_by_side import side_by_side

UNTOLD_AFTER = timedelta(days=30)
"""After this people are told of a fee that the processor does not tell; it is asked for on all the same."""
_log = logging.getLogger(__name__)


class CollectFees:
    """Books fees that are due, as soon as their processor tells them.

    Args:
        transactions: For what is due.
        chunk: Most captures that one sweep takes.
        at_once: How many of them are asked about at the same time.
    """

    def __init__(
        self, store: PaymentStore, transactions: ShortTransactions, accounts: Accounts, processors: Processors,
        *, chunk: int = 200, at_once: int = 10,
    ) -> None:  # fmt: skip
        self._store, self._transactions = store, transactions
        self._accounts, self._processors = accounts, processors
        self._chunk, self._at_once = chunk, at_once
        self._collecting = asyncio.Lock()

    async def __call__(self) -> int:
        """Asks about the captures whose pause is over; returns how many there were."""
        if self._collecting.locked():  # a slow processor holds up the sweep before
            return 0
        async with self._collecting:
            due = await self._transactions.run(take_fees_due, self._chunk)
            await side_by_side(due, self._collect, self._at_once)
            return len(due)

    async def _collect(self, due: FeeDue) -> None:
        fee = await self._ask(due)
        if fee is not None:
            await self._store.book_fees(BookFees(due.merchant_id, due.payment_id, due.transaction_id, (fee,)))
        elif due.age > UNTOLD_AFTER:
            told = f"the processor does not say what it kept of the capture {due.capture_id}"
            item = Attention(due.merchant_id, due.payment_id, due.transaction_id, AttentionKind.FEE_UNKNOWN, told)
            await self._transactions.run(insert_attention, [item])

    async def _ask(self, due: FeeDue) -> Fee | None:
        payment = await self._store.read(get_payment, due.merchant_id, due.payment_id)
        assert payment is not None, "payments are never deleted"
        account = await self._accounts.by_id(payment.processor_account_id)
        processor = self._processors.get(payment.processor)
        try:
            return await processor.read_fee(account, due.processor_payment_id, due.capture_id)
        except (OutcomeUnknown, ProcessorUnavailable, ProcessorRejected) as trouble:
            _log.warning("a fee could not be asked for: %s: %s", type(trouble).__name__, trouble)
            return None
