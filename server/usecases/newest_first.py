"""Pages of whatever is listed newest first by its id. Called by the use cases that list."""

from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, Protocol, TypeVar
from uuid import UUID

from sqlalchemy import Connection

from server.usecases.answers import Page
from server.usecases.page_tokens import PageTokens


class _Identified(Protocol):
    @property
    def id(self) -> UUID: ...


P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T", bound=_Identified)
ReadBefore = Callable[[Connection, UUID | None, int], Sequence[T]]
"""Reads up to a number of items whose id lies before another one, newest first."""


class Runs(Protocol):
    """Where reads run: `storage.engine.Reads`, or `storage.short_transactions.ShortTransactions`."""

    async def run(self, work: Callable[Concatenate[Connection, P], R], *args: P.args, **kwargs: P.kwargs) -> R: ...


class NewestFirst:
    """Reads keyset pages: stable while new items come in."""

    def __init__(self, reads: Runs, tokens: PageTokens) -> None:
        self._reads, self._tokens = reads, tokens

    async def read(self, scope: str, page_size: int, page_token: str, read: ReadBefore[T]) -> Page[T]:
        """Returns at most `page_size` items.

        Args:
            scope: Which list this is, with its merchant, written unambiguously.

        Raises:
            KassaError: PAGE_TOKEN_INVALID.
        """
        before = UUID(self._tokens.read(scope, page_token)) if page_token else None
        # One more than asked for tells whether another page follows.
        found = await self._reads.run(read, before, page_size + 1)
        items = tuple(found[:page_size])
        more = len(found) > page_size
        return Page(items, self._tokens.issue(scope, str(items[-1].id)) if more else "")
