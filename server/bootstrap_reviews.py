"""Wires what FraudService calls, and the lists that it changes. Called by `bootstrap`, which owns the parts."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from server.domain.errors import KassaError
from server.domain.review import ReviewTerms, Verdict
from server.rpc.fraud_service import FraudUseCases
from server.screening.runtime_lists import ListSnapshots
from server.settings import Settings
from server.storage.engine import Reads
from server.storage.list_entries import lists_changed_at, read_list_entries
from server.storage.payments import PaymentStore
from server.storage.short_transactions import ShortTransactions
from server.usecases.decide_review import DecideReview
from server.usecases.decisions import Decisions
from server.usecases.idempotency import RequestHasher
from server.usecases.list_entries import ListEntries
from server.usecases.newest_first import NewestFirst
from server.usecases.operate import Operate
from server.usecases.page_tokens import PageTokens
from server.usecases.reviews import ReviewDesk
from server.usecases.shielding import Shield
from server.usecases.snooze_rules import FindSnoozes, SnoozeRules

LISTS_LOOK_EVERY_S = 1.0
_log = logging.getLogger(__name__)


def make_fraud_use_cases(
    store: PaymentStore, reads: Reads, transactions: ShortTransactions, tokens: PageTokens, operate: Operate,
    hasher: RequestHasher, shield: Shield,
) -> FraudUseCases:  # fmt: skip
    """Makes what analysts call."""
    pages = NewestFirst(reads, tokens)
    return FraudUseCases(
        desk=ReviewDesk(reads, transactions, tokens),
        decide=DecideReview(store, reads, operate, hasher, shield),
        decisions=Decisions(reads, transactions, pages),
        lists=ListEntries(transactions, pages),
        snoozes=SnoozeRules(reads, transactions),
        find_snoozes=FindSnoozes(pages),
    )


def review_terms(settings: Settings) -> ReviewTerms:
    """How long people may take to decide a review, and what happens after that."""
    return ReviewTerms(timedelta(hours=settings.review_deadline_h), Verdict(settings.review_default.value.upper()))


@asynccontextmanager
async def open_lists(reads: Reads) -> AsyncIterator[ListSnapshots]:
    """Reads the entries of lists, and follows what is added and removed until the block ends.

    Raises:
        KassaError: SERVICE_UNAVAILABLE: a server that does not know what is blocked must not decide.
    """
    lists = ListSnapshots(lambda: reads.run(lists_changed_at), lambda: reads.run(read_list_entries))
    await lists.refresh()
    following = asyncio.create_task(_keep_following(lists))
    try:
        yield lists
    finally:
        following.cancel()


async def _keep_following(lists: ListSnapshots) -> None:
    while True:
        await asyncio.sleep(LISTS_LOOK_EVERY_S)
        try:
            if await lists.refresh():
                _log.info("entries of lists have changed")
        except KassaError as trouble:
            _log.warning("lists stay as they are: %s", trouble)
