"""A payment store over the worker's own database; every test uses merchants of its own."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Engine, text

from server.domain.ids import new_id
from server.domain.outcome import Finding
from server.domain.payment import FraudDecision, FraudOutcome, Payment, Transaction, TransactionType
from server.domain.velocity import Counted, Traces, Velocity
from server.storage.claims import Claim, Replay
from server.storage.engine import Reads, make_engine
from server.storage.group_commit import GroupCommit
from server.storage.open_operations import OpenOperation, OperationOpened, TakeUp
from server.storage.open_payments import Opened, OpenPayment
from server.storage.payments import PaymentStore
from server.storage.settle import Settle, Settled
from tests.cluster import Database
from tests.factories import approved, make_payment, make_transaction

LEASE_S = 30.0
ALLOWED = FraudDecision(FraudOutcome.ALLOW, 0, (), (), "hash", {})
HELD = FraudDecision(
    FraudOutcome.REVIEW, 700, ("many_cards",), ("new_rule",), "hash", {"amount": 1999, "ip": "1.2.3.4"}
)


@dataclass
class Till:
    """Speaks the store's language in a test's words."""

    store: PaymentStore
    commit: GroupCommit
    engine: Engine
    merchant: UUID = field(default_factory=uuid4)

    def opening(
        self, payment: Payment | None = None, key: str = "", *, request: bytes = b"request",
        velocity: tuple[Velocity, ...] = (), lease_s: float = LEASE_S, seen: list[Counted] | None = None,
        decision: FraudDecision = ALLOWED, traces: Traces | None = None,
    ) -> OpenPayment:  # fmt: skip
        """A row for `open_payment`; what velocity counted is appended to `seen`."""
        payment = payment or make_payment(merchant_id=self.merchant)
        key = key or str(uuid4())
        transaction = make_transaction(payment, idempotency_keys=(key,))

        def screen(counted: Counted) -> tuple[Payment, FraudDecision]:
            if seen is not None:
                seen.append(counted)
            return payment, decision

        claim = Claim(payment.merchant_id, key, uuid4(), request, payment.id, transaction.id)
        return OpenPayment(
            claim, payment, transaction, traces or traces_of(payment), velocity, screen, uuid4(), lease_s
        )

    async def open(self, payment: Payment | None = None, key: str = "", **how: object) -> Opened | Replay:
        """Opens a payment."""
        return await self.store.open_payment(self.opening(payment, key, **how))  # type: ignore[arg-type]

    async def settle(self, transaction: Transaction, finding: Finding) -> Settled:
        """Settles a finding."""
        row = Settle(transaction.merchant_id, transaction.payment_id, transaction.id, finding)
        return await self.store.settle(row)

    async def charged(self, amount: int = 1999, key: str = "", **changes: object) -> Payment:
        """A payment that is COMPLETED."""
        payment = make_payment(merchant_id=self.merchant, amount=amount, **changes)
        opened = await self.open(payment, key)
        assert isinstance(opened, Opened)
        return (await self.settle(opened.transaction, approved(opened.transaction))).payment

    def operation(
        self, payment: Payment, kind: TransactionType, amount: int | None = None, key: str = "", request: bytes = b"op"
    ) -> OpenOperation:
        """A row for `open_operation`."""
        claim = Claim(payment.merchant_id, key or str(uuid4()), uuid4(), request, payment.id, new_id())
        return OpenOperation(
            payment.merchant_id, payment.id, claim.transaction_id, kind, amount, "", uuid4(), LEASE_S, claim
        )

    async def begin(self, payment: Payment, kind: TransactionType, amount: int | None = None) -> OperationOpened:
        """Opens an operation that must succeed."""
        opened = await self.store.open_operation(self.operation(payment, kind, amount))
        assert isinstance(opened, OperationOpened)
        return opened

    def take_up_row(self, transaction: Transaction, claim: Claim | None = None) -> TakeUp:
        """A row for `take_up`."""
        return TakeUp(transaction.merchant_id, transaction.payment_id, transaction.id, uuid4(), LEASE_S, claim)

    def opened_at(self, payment: Payment) -> datetime:
        """When the payment's first transaction was opened, by the database's clock."""
        opened = "SELECT min(created_at) FROM transactions WHERE merchant_id = :merchant AND payment_id = :payment"
        ((moment,),) = self.query(opened, payment=payment.id)
        assert isinstance(moment, datetime)
        return moment

    def make_older(self, transaction: Transaction, age: timedelta) -> None:
        """Lets time pass for a transaction."""
        older = "UPDATE transactions SET created_at = created_at - :age WHERE merchant_id = :merchant AND id = :id"
        with self.engine.begin() as connection:
            connection.execute(text(older), {"age": age, "merchant": self.merchant, "id": transaction.id})

    def query(self, sql: str, **values: object) -> list[tuple[object, ...]]:
        """Asks the database about this merchant (`:merchant`)."""
        with self.engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(sql), {"merchant": self.merchant} | values)]


def traces_of(payment: Payment) -> Traces:
    """What the payment itself tells of its traces."""
    email = payment.customer.email
    return Traces(email_key=email.lower(), email_domain=email.rpartition("@")[2].lower())


@pytest.fixture
async def till(database: Database) -> AsyncIterator[Till]:
    """The store over two writer threads and batches as in production."""
    engine, readers = make_engine(database.writer_url, 3), make_engine(database.reader_url, 2)
    alone = make_engine(database.writer_url, 3, alone=True)
    commit, reads = GroupCommit(alone, writers=2), Reads(readers, 2)
    yield Till(PaymentStore(commit, reads), commit, engine)
    await commit.close()
    reads.close()
    alone.dispose()
    engine.dispose()
    readers.dispose()
