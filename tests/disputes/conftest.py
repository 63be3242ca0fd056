"""The use cases of disputes over a real database, and a processor that says what a test dictates."""

from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from typing import cast
from uuid import UUID, uuid4

import pytest

from server.domain.dispute import Dispute, DisputeStanding
from server.domain.payment import Payment
from server.processors.contract import Account, DisputeAnswer, FraudWarning, Processor
from server.storage.disputes import DisputeFilter, list_disputes
from server.storage.short_transactions import ShortTransactions
from server.usecases.act import Act
from server.usecases.answer_dispute import AnswerDispute
from server.usecases.answers import Caller
from server.usecases.find_disputes import FindDisputes
from server.usecases.follow_dispute import FollowDispute
from server.usecases.handle_event import HandleEvent
from server.usecases.idempotency import RequestHasher
from server.usecases.recover_transaction import RecoverTransaction
from server.usecases.shielding import Shield
from tests.factories import STRIPE_ACCOUNT, make_standing
from tests.storage.conftest import Till, till

__all__ = ["till"]

LEASE_S = 30.0


@dataclass
class Bank:
    """A processor, and where accounts are looked up. `before_reply` runs after the deed and before its reply."""

    stands: dict[str, DisputeStanding] = field(default_factory=dict)
    trouble: Exception | None = None
    verdict: DisputeStanding | None = None
    before_reply: Callable[[], Awaitable[object]] | None = None
    answers: list[DisputeAnswer] = field(default_factory=list)
    reads: int = 0
    warnings: dict[str, FraudWarning] = field(default_factory=dict)
    account: UUID = STRIPE_ACCOUNT

    async def every_id(self) -> list[UUID]:
        return [self.account]

    async def by_id(self, account_id: UUID) -> Account:
        return Account(account_id, None, "stripe", True, {})

    async def for_merchant(self, merchant_id: UUID, processor: str) -> Account:
        raise AssertionError("a payment's account is known")

    def get(self, name: str) -> Processor:
        assert name == "stripe"
        return cast(Processor, self)

    async def list_disputes(self, account: Account, since: datetime) -> list[str]:
        return [key for key, one in self.stands.items() if one.opened_at >= since]

    async def read_warning(self, account: Account, processor_warning_id: str) -> FraudWarning:
        await self._reply()
        return self.warnings[processor_warning_id]

    async def read_dispute(self, account: Account, processor_dispute_id: str) -> DisputeStanding:
        self.reads += 1
        stood = self.stands[processor_dispute_id]
        await self._reply()
        return stood

    async def answer_dispute(self, account: Account, answer: DisputeAnswer) -> DisputeStanding:
        self.answers.append(answer)
        if self.verdict is not None:
            self.stands[answer.processor_dispute_id] = self.verdict
        await self._reply()
        return self.stands[answer.processor_dispute_id]

    async def _reply(self) -> None:
        if self.before_reply is not None:
            before, self.before_reply = self.before_reply, None
            await before()
        if self.trouble is not None:
            raise self.trouble


@dataclass
class Desk:
    """The use cases, wired as `bootstrap` does."""

    till: Till
    bank: Bank
    follow: FollowDispute
    recover: RecoverTransaction
    handle: HandleEvent
    find: FindDisputes
    answer: AnswerDispute

    @property
    def caller(self) -> Caller:
        """The till's merchant."""
        return Caller(self.till.merchant, test_mode=True)

    async def charged(self) -> tuple[Payment, DisputeStanding]:
        """A payment, and a dispute of it at the bank that nobody here knows of."""
        payment = await self.till.charged()
        key = f"dp_{uuid4().hex}"
        self.bank.stands[key] = make_standing(
            processor_dispute_id=key, processor_payment_id=payment.processor_payment_id
        )
        return payment, self.bank.stands[key]

    async def disputed(self) -> tuple[Payment, Dispute]:
        """A payment with a dispute that is known."""
        payment, told = await self.charged()
        return payment, await self.follow.read(payment, told.processor_dispute_id)

    async def disputes(self) -> list[Dispute]:
        """All disputes of the till's merchant, newest first."""
        return await self.till.store.read(list_disputes, self.till.merchant, DisputeFilter(), None, 100)

    async def recovered(self, dispute: Dispute) -> str:
        """Lets recovery look at a dispute once its lease or pause is over."""
        with self.till.engine.begin() as connection:
            connection.exec_driver_sql(
                "UPDATE transactions SET lease_until = now() WHERE id = %s", (dispute.transaction_id,)
            )
        return await self.recover(dispute.merchant_id, dispute.payment_id, dispute.transaction_id)


@pytest.fixture
async def transactions(till: Till) -> AsyncIterator[ShortTransactions]:
    """Connects as the writer."""
    with ThreadPoolExecutor(1) as threads:
        yield ShortTransactions(till.engine, threads)


@pytest.fixture
async def desk(till: Till, transactions: ShortTransactions) -> Desk:
    """A desk of this test's own."""
    bank, store = Bank(), till.store
    act, follow = Act(store, bank, bank), FollowDispute(store, bank, bank)
    recover = RecoverTransaction(store, act, follow, lease_s=LEASE_S)
    return Desk(
        till=till,
        bank=bank,
        follow=follow,
        recover=recover,
        handle=HandleEvent(store, transactions, act, follow, recover),
        find=FindDisputes(store, transactions, bank, bank, follow),
        answer=AnswerDispute(store, follow, RequestHasher(b"h" * 32, b"f" * 32, b"p" * 32), Shield(), lease_s=LEASE_S),
    )
