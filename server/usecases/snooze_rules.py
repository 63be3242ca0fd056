"""Silences rules for a time, and lets them act again. Called by `rpc` and by `kassa rules snooze`."""

import asyncio
from uuid import UUID

from sqlalchemy import Connection

from server.clock import utc_now
from server.domain.errors import InvalidField
from server.domain.rulesets import Role
from server.domain.snooze import NewSnooze, Snooze, check_expiry
from server.screening.snoozes import why_not_snoozed
from server.storage.engine import Reads
from server.storage.rulesets import read_in_force, read_versions
from server.storage.short_transactions import ShortTransactions
from server.storage.snoozes import SnoozeFilter, add_snooze, end_snooze, list_snoozes
from server.usecases.answers import Page
from server.usecases.newest_first import NewestFirst


class SnoozeRules:
    """Adds and ends snoozes; every server obeys within two seconds. Nothing is deleted: what is ended stays, marked."""

    def __init__(self, reads: Reads, transactions: ShortTransactions) -> None:
        self._reads, self._transactions = reads, transactions

    async def add(self, new: NewSnooze) -> Snooze:
        """Silences a rule; a snooze that it has already gives way.

        Raises:
            InvalidField: `expires_at` is past or too far away; `rule` is none that decides in the live ruleset.
            RulesError: The live ruleset that is kept is not sound.
        """
        check_expiry(new.expires_at, utc_now())
        live = (await self._reads.run(read_in_force)).get(Role.LIVE)
        versions = {} if live is None else await self._reads.run(read_versions, [live.hash])
        if live is None or live.hash not in versions:
            raise InvalidField("rule", "is no rule of the live ruleset: no rules were released yet")
        why_not = await asyncio.to_thread(why_not_snoozed, versions[live.hash], new.rule)
        if why_not:
            raise InvalidField("rule", why_not)
        return await self._transactions.run(add_snooze, new)

    async def end(self, snooze_id: UUID, ended_by: str) -> Snooze:
        """Lets a rule act again before its snooze is over.

        Raises:
            KassaError: SNOOZE_NOT_FOUND.
        """
        return await self._transactions.run(end_snooze, snooze_id, ended_by)


class FindSnoozes:
    """Shows snoozes, newest first."""

    def __init__(self, pages: NewestFirst) -> None:
        self._pages = pages

    async def list(self, wanted: SnoozeFilter, page_size: int, page_token: str) -> Page[Snooze]:
        """Returns at most `page_size` of them.

        Raises:
            KassaError: PAGE_TOKEN_INVALID.
        """

        def read(connection: Connection, before: UUID | None, size: int) -> list[Snooze]:
            return list_snoozes(connection, wanted, before, size)

        return await self._pages.read(f"snoozes:{wanted.rule}:{wanted.include_past}", page_size, page_token, read)
