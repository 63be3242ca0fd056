"""What the rules decided, what became of it, and how right they were. Called by `rpc`."""

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection

from server.clock import utc_now
from server.domain.errors import InvalidField, KassaError, Reason
from server.domain.label import PaymentLabel
from server.domain.review_case import Decided
from server.storage.decision_reads import DecisionFilter, get_decision, list_decisions
from server.storage.engine import Reads
from server.storage.labels import label_payment
from server.storage.rule_statistics import Statistics, count_rules
from server.storage.short_transactions import ShortTransactions
from server.usecases.answers import Page
from server.usecases.newest_first import NewestFirst

LONGEST = timedelta(days=90)
"""No question reaches further back, so that none reads a merchant's whole past."""
_WEEK = timedelta(days=7)


class Decisions:
    """Reads decisions, labels payments, counts what rules did. The platform's `merchant_id` is None: it sees all."""

    def __init__(self, reads: Reads, transactions: ShortTransactions, pages: NewestFirst) -> None:
        self._reads, self._transactions, self._pages = reads, transactions, pages

    async def get(self, merchant_id: UUID | None, payment_id: UUID) -> Decided:
        """Returns what was decided about a payment.

        Raises:
            KassaError: PAYMENT_NOT_FOUND, also for somebody else's.
        """
        found = await self._reads.run(get_decision, merchant_id, payment_id)
        if found is None:
            raise KassaError(Reason.PAYMENT_NOT_FOUND, "There is no such payment.")
        return found

    async def list(self, wanted: DecisionFilter, page_size: int, page_token: str) -> Page[Decided]:
        """Returns at most `page_size` decisions, newest first; of a rule those of the last 90 days, unless told.

        Raises:
            KassaError: PAGE_TOKEN_INVALID.
        """
        # The scope is what was asked for: what is left out means something else tomorrow.
        scope = f"decisions:{sorted(wanted.set_fields().items())}"
        if wanted.rule is not None and wanted.created_after is None:
            wanted = replace(wanted, created_after=(wanted.created_before or utc_now()) - LONGEST)

        def read(connection: Connection, before: UUID | None, size: int) -> list[Decided]:
            return list_decisions(connection, wanted, before, size)

        return await self._pages.read(scope, page_size, page_token, read)

    async def label(self, merchant_id: UUID | None, said: PaymentLabel) -> PaymentLabel:
        """Keeps an analyst's word; the last one counts.

        Raises:
            KassaError: PAYMENT_NOT_FOUND, also for somebody else's.
        """
        return await self._transactions.run(label_payment, merchant_id, said)

    async def statistics(
        self, merchant_id: UUID | None, created_after: datetime | None, created_before: datetime | None
    ) -> Statistics:
        """Counts what rules did; of the week before `created_before`, or before now, unless told.

        Raises:
            InvalidField: The time ends before it begins, or is longer than 90 days.
        """
        end = created_before or utc_now()
        begin = created_after or end - _WEEK
        if not timedelta() < end - begin <= LONGEST:
            raise InvalidField("created_after", f"must be before created_before, and at most {LONGEST.days} days")
        return await self._reads.run(count_rules, merchant_id, begin, end)
