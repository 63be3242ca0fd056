"""Reads payments, their transactions and their timelines for merchants."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Connection

from server.domain.payment import Payment, Transaction
from server.domain.timeline import Position, TimelineEntry
from server.storage.payments import PaymentStore
from server.storage.reads import PaymentFilter, list_payments, list_transactions
from server.storage.timeline import read_timeline
from server.usecases.answers import Caller, Page
from server.usecases.newest_first import NewestFirst
from server.usecases.operate import find_payment
from server.usecases.page_tokens import PageTokens

_FIRST = UUID(int=0)


class GetPayment:
    """Reads one payment."""

    def __init__(self, store: PaymentStore) -> None:
        self._store = store

    async def __call__(self, caller: Caller, payment_id: UUID) -> Payment:
        """Returns the payment.

        Raises:
            KassaError: PAYMENT_NOT_FOUND, also for somebody else's.
        """
        return await find_payment(self._store, caller.merchant_id, payment_id)


class ListPayments:
    """Lists payments, newest first, in pages that stay stable while new ones come in."""

    def __init__(self, pages: NewestFirst) -> None:
        self._pages = pages

    async def __call__(self, caller: Caller, wanted: PaymentFilter, page_size: int, page_token: str) -> Page[Payment]:
        """Returns at most `page_size` payments.

        Raises:
            KassaError: PAGE_TOKEN_INVALID.
        """

        def read(connection: Connection, before: UUID | None, size: int) -> list[Payment]:
            return list_payments(connection, caller.merchant_id, wanted, before, size)

        scope = f"payments:{caller.merchant_id}:{sorted(wanted.set_fields().items())}"
        return await self._pages.read(scope, page_size, page_token, read)


class ListTransactions:
    """Lists the transactions of a payment, oldest first."""

    def __init__(self, store: PaymentStore, tokens: PageTokens) -> None:
        self._store, self._tokens = store, tokens

    async def __call__(self, caller: Caller, payment_id: UUID, page_size: int, page_token: str) -> Page[Transaction]:
        """Returns at most `page_size` transactions.

        Raises:
            KassaError: PAYMENT_NOT_FOUND, PAGE_TOKEN_INVALID.
        """
        await find_payment(self._store, caller.merchant_id, payment_id)
        scope = f"transactions:{caller.merchant_id}:{payment_id}"
        after = UUID(self._tokens.read(scope, page_token)) if page_token else _FIRST
        found = await self._store.read(list_transactions, caller.merchant_id, payment_id, after, page_size + 1)
        items = tuple(found[:page_size])
        more = len(found) > page_size
        return Page(items, self._tokens.issue(scope, str(items[-1].id)) if more else "")


class GetTimeline:
    """Tells all that is known of a payment, oldest first."""

    def __init__(self, store: PaymentStore, tokens: PageTokens) -> None:
        self._store, self._tokens = store, tokens

    async def __call__(self, caller: Caller, payment_id: UUID, page_size: int, page_token: str) -> Page[TimelineEntry]:
        """Returns at most `page_size` entries.

        Raises:
            KassaError: PAYMENT_NOT_FOUND, PAGE_TOKEN_INVALID.
        """
        await find_payment(self._store, caller.merchant_id, payment_id)
        scope = f"timeline:{caller.merchant_id}:{payment_id}"
        after = _read_position(self._tokens.read(scope, page_token)) if page_token else None
        found = await self._store.read(read_timeline, caller.merchant_id, payment_id, after, page_size + 1)
        items = tuple(found[:page_size])
        more = len(found) > page_size
        return Page(items, self._tokens.issue(scope, _write_position(items[-1].position)) if more else "")


def _write_position(position: Position) -> str:
    return f"{position.at.isoformat()} {position.rank} {position.id}"


def _read_position(text: str) -> Position:
    at, rank, key = text.split(" ", 2)
    return Position(datetime.fromisoformat(at), int(rank), key)
