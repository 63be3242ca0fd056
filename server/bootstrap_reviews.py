"""Wires what FraudService calls. Called by `bootstrap`, which owns the parts."""

from datetime import timedelta

from server.domain.review import ReviewTerms, Verdict
from server.rpc.fraud_service import FraudUseCases
from server.settings import Settings
from server.storage.engine import Reads
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
    )


def review_terms(settings: Settings) -> ReviewTerms:
    """How long people may take to decide a review, and what happens after that."""
    return ReviewTerms(timedelta(hours=settings.review_deadline_h), Verdict(settings.review_default.value.upper()))
