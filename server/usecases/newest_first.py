"""Pages of whatever is listed newest first by its id. Called by the use cases that administer merchants."""

from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from server.storage.short_transactions import ShortTransactions
from server.usecases.answers import Page
from server.usecases.page_tokens import PageTokens


class _Identified(Protocol):
    @property
    def id(self) -> UUID: ...


T = TypeVar("T", bound=_Identified)
ReadBefore = Callable[[Connection, UUID | None, int], Sequence[T]]
"""Reads up to a number of items whose id lies before another one, newest first."""


class NewestFirst:
    """Reads keyset pages: stable while new items come in."""

    def __init__(self, transactions: ShortTransactions, tokens: PageTokens) -> None:
        self._transactions, self._tokens = transactions, tokens

    async def read(self, scope: str, page_size: int, page_token: str, read: ReadBefore[T]) -> Page[T]:
        """Returns at most `page_size` items.

        Args:
            scope: Which list this is, with its merchant, written unambiguously.

        Raises:
            KassaError: PAGE_TOKEN_INVALID.
        """
        before = UUID(self._tokens.read(scope, page_token)) if page_token else None
        # One more than asked for tells whether another page follows.
        found = await self._transactions.run(read, before, page_size + 1)
        items = tuple(found[:page_size])
        more = len(found) > page_size
        return Page(items, self._tokens.issue(scope, str(items[-1].id)) if more else "")
