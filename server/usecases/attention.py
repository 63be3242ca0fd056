"""Lists what people must look at, and closes what they have looked at. Called by `rpc`."""

from uuid import UUID

from sqlalchemy import Connection

from server.domain.attention import AttentionItem
from server.domain.errors import KassaError, Reason
from server.storage.attention import AttentionFilter, list_attention, resolve_attention
from server.storage.short_transactions import ShortTransactions
from server.usecases.answers import Page
from server.usecases.newest_first import NewestFirst


class ListAttention:
    """Lists items, newest first, in pages that stay stable while new ones come in."""

    def __init__(self, pages: NewestFirst) -> None:
        self._pages = pages

    async def __call__(self, wanted: AttentionFilter, page_size: int, page_token: str) -> Page[AttentionItem]:
        """Returns at most `page_size` items; the filter names a merchant unless the platform asks for all of them.

        Raises:
            KassaError: PAGE_TOKEN_INVALID.
        """

        def read(connection: Connection, before: UUID | None, size: int) -> list[AttentionItem]:
            return list_attention(connection, wanted, before, size)

        scope = f"attention:{sorted(wanted.set_fields().items())}:{wanted.include_resolved}"
        return await self._pages.read(scope, page_size, page_token, read)


class ResolveAttention:
    """Closes an item by the word of whoever looked at it. It moves no money and changes no payment."""

    def __init__(self, transactions: ShortTransactions) -> None:
        self._transactions = transactions

    async def __call__(self, merchant_id: UUID | None, item_id: UUID, resolved_by: str, note: str) -> AttentionItem:
        """Closes the item and returns it; one that is closed already is returned as it stands.

        Args:
            merchant_id: Whose it must be; None for the platform, which closes any.
            resolved_by: Who looked at it.
            note: What was done about it.

        Raises:
            KassaError: ATTENTION_NOT_FOUND, also for somebody else's.
        """
        item = await self._transactions.run(resolve_attention, merchant_id, item_id, resolved_by, note)
        if item is None:
            raise KassaError(Reason.ATTENTION_NOT_FOUND, "There is no such attention item.")
        return item
