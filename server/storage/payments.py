"""The payment store: every write of a payment goes through group commit here, every read through the read threads."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection

from server.domain.payment import Payment, State, Transaction
from server.storage.approve_reviews import ApproveReview, approve_reviews
from server.storage.claims import Replay
from server.storage.dispute_answers import AnswerOpened, LetGo, OpenAnswer, let_go, open_answers
from server.storage.engine import Reads
from server.storage.external_refunds import ExternalRefund, book_refunds
from server.storage.fees import BookFees, book_fees
from server.storage.fraud_warnings import WarnOfFraud, warn_of_fraud
from server.storage.group_commit import GroupCommit
from server.storage.open_operations import OpenOperation, OperationOpened, Over, TakeUp, open_operations, take_up
from server.storage.open_payments import Opened, OpenPayment, open_payments
from server.storage.settle import Settle, Settled, settle_transactions
from server.storage.settle_disputes import DisputeSettled, Overtaken, SettleDispute, settle_disputes

P = ParamSpec("P")
T = TypeVar("T")


class PaymentStore:
    """What use cases write with. All methods raise what `GroupCommit.write` raises, and the statements' refusals.

    Args:
        observe: Told of each payment that the rules blocked, and of each transaction that was settled.
    """

    def __init__(
        self, commit: GroupCommit, reads: Reads, observe: Callable[[Payment, Transaction], None] | None = None
    ) -> None:
        self._commit, self._reads, self._observe = commit, reads, observe

    async def open_payment(self, row: OpenPayment) -> Opened | Replay:
        """Makes a new payment durable, or finds the earlier call that its key belongs to."""
        merchant = row.claim.merchant_id
        keys = ((merchant, row.claim.key),)
        result: Opened | Replay = await self._commit.write(open_payments, row, aggregates=keys, tenant=merchant)
        if self._observe and isinstance(result, Opened) and result.payment.state is State.FAILED:
            self._observe(result.payment, result.transaction)
        return result

    async def open_operation(self, row: OpenOperation) -> OperationOpened | Replay:
        """Begins a capture, void or refund."""
        keys: tuple[Any, ...] = (row.key,) if row.claim is None else (row.key, (row.merchant_id, row.claim.key))
        result: OperationOpened | Replay = await self._commit.write(
            open_operations, row, aggregates=keys, tenant=row.merchant_id
        )
        return result

    async def approve_review(self, row: ApproveReview) -> Payment | Replay:
        """Lets a payment in review go on to its merchant."""
        keys: tuple[Any, ...] = (row.key,) if row.claim is None else (row.key, (row.merchant_id, row.claim.key))
        result: Payment | Replay = await self._commit.write(
            approve_reviews, row, aggregates=keys, tenant=row.merchant_id
        )
        return result

    async def take_up(self, row: TakeUp) -> OperationOpened | Over | Replay:
        """Leases an open transaction to carry it on; `Over` where a confirmation comes after the fact."""
        keys: tuple[Any, ...] = (row.key,) if row.claim is None else (row.key, (row.merchant_id, row.claim.key))
        result: OperationOpened | Over | Replay = await self._commit.write(
            take_up, row, aggregates=keys, tenant=row.merchant_id
        )
        return result

    async def settle(self, row: Settle) -> Settled:
        """Settles a transaction; waits for as long as the database is away, since money has moved."""
        result: Settled = await self._commit.write(
            settle_transactions, row, aggregates=(row.key,), tenant=row.merchant_id, urgent=True
        )
        if self._observe and result.changed:
            self._observe(result.payment, result.transaction)
        return result

    async def book_refund(self, row: ExternalRefund) -> bool:
        """Books a refund that was made at the processor itself; False where it is booked already."""
        result: bool = await self._commit.write(
            book_refunds, row, aggregates=((row.merchant_id, row.payment_id),), tenant=row.merchant_id, urgent=True
        )
        return result

    async def warn(self, row: WarnOfFraud) -> bool:
        """Marks a payment that a card network warns of; False where it is marked already."""
        result: bool = await self._commit.write(
            warn_of_fraud, row, aggregates=(row.key,), tenant=row.merchant_id, urgent=True
        )
        return result

    async def open_answer(self, row: OpenAnswer) -> AnswerOpened | Replay:
        """Begins to answer a dispute."""
        merchant = row.claim.merchant_id
        keys = (row.key, (merchant, row.claim.key))
        result: AnswerOpened | Replay = await self._commit.write(open_answers, row, aggregates=keys, tenant=merchant)
        return result

    async def settle_dispute(self, row: SettleDispute) -> DisputeSettled | Overtaken:
        """Settles a reading of a dispute, unless another one came between."""
        result: DisputeSettled | Overtaken = await self._commit.write(
            settle_disputes, row, aggregates=(row.key,), tenant=row.merchant_id, urgent=True
        )
        return result

    async def let_go(self, row: LetGo) -> bool:
        """Ends a dispute's lease that brought nothing; False where somebody else has it by now."""
        result: bool = await self._commit.write(let_go, row, aggregates=(row.key,), tenant=row.merchant_id, urgent=True)
        return result

    async def book_fees(self, row: BookFees) -> None:
        """Books fees that were told later; each is booked once, whoever comes first with it."""
        await self._commit.write(
            book_fees, row, aggregates=((row.merchant_id, row.payment_id),), tenant=row.merchant_id, urgent=True
        )

    async def read(self, read: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Runs one of `storage.reads`."""
        return await self._reads.run(read, *args, **kwargs)
