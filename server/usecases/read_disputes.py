"""Reads disputes for merchants."""

from uuid import UUID

from sqlalchemy import Connection

from server.domain.dispute import Dispute
from server.domain.errors import KassaError, Reason
from server.storage.disputes import DisputeFilter, get_dispute, list_disputes
from server.storage.payments import PaymentStore
from server.usecases.answers import Caller, Page
from server.usecases.newest_first import NewestFirst
from server.usecases.operate import find_payment


class GetDispute:
    """Reads one dispute."""

    def __init__(self, store: PaymentStore) -> None:
        self._store = store

    async def __call__(self, caller: Caller, dispute_id: UUID) -> Dispute:
        """Returns the dispute.

        Raises:
            KassaError: DISPUTE_NOT_FOUND, also for somebody else's.
        """
        return await find_own_dispute(self._store, caller.merchant_id, dispute_id)


class ListDisputes:
    """Lists disputes, newest first, in pages that stay stable while new ones come in."""

    def __init__(self, store: PaymentStore, pages: NewestFirst) -> None:
        self._store, self._pages = store, pages

    async def __call__(self, caller: Caller, wanted: DisputeFilter, page_size: int, page_token: str) -> Page[Dispute]:
        """Returns at most `page_size` disputes.

        Raises:
            KassaError: PAGE_TOKEN_INVALID, or PAYMENT_NOT_FOUND where those of a payment are wanted.
        """
        if wanted.payment_id is not None:
            await find_payment(self._store, caller.merchant_id, wanted.payment_id)

        def read(connection: Connection, before: UUID | None, size: int) -> list[Dispute]:
            return list_disputes(connection, caller.merchant_id, wanted, before, size)

        scope = f"disputes:{caller.merchant_id}:{sorted(wanted.set_fields().items())}"
        return await self._pages.read(scope, page_size, page_token, read)


async def find_own_dispute(store: PaymentStore, merchant_id: UUID, dispute_id: UUID) -> Dispute:
    """Reads a merchant's dispute.

    Raises:
        KassaError: DISPUTE_NOT_FOUND, also for somebody else's.
    """
    dispute = await store.read(get_dispute, merchant_id, dispute_id)
    if dispute is None:
        raise KassaError(Reason.DISPUTE_NOT_FOUND, "There is no such dispute.")
    return dispute
