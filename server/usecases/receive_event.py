"""Receives a processor's webhook: verified over its raw bytes, stored, and only then handled."""

from collections.abc import Mapping
from uuid import UUID

from server.domain.errors import KassaError, Reason
from server.processors.contract import Account, EventRejected, OutcomeUnknown, ProcessorEvent, ProcessorUnavailable
from server.storage.processor_events import StoredEvent, store_event
from server.storage.short_transactions import ShortTransactions
from server.usecases.act import Accounts, Processors
from server.usecases.handle_event import HandleEvent
from server.usecases.shielding import Shield


class ReceiveEvent:
    """See the module.

    Args:
        platform_accounts: The account that the bare path of a processor stands for.
    """

    def __init__(
        self, accounts: Accounts, processors: Processors, transactions: ShortTransactions, handle: HandleEvent,
        shield: Shield, platform_accounts: Mapping[str, UUID],
    ) -> None:  # fmt: skip
        self._accounts, self._processors, self._transactions = accounts, processors, transactions
        self._handle, self._shield, self._platform_accounts = handle, shield, platform_accounts

    async def __call__(self, processor: str, account_id: UUID | None, headers: Mapping[str, str], body: bytes) -> None:
        """Stores the event once, however often it is sent, and handles it unless that was done.

        Args:
            processor: As the path names it.
            account_id: As the path names it; None for the platform's own account.
            headers: Lower-case names.
            body: The bytes as they were signed.

        Raises:
            KassaError: WEBHOOK_SIGNATURE_INVALID, WEBHOOK_STALE, PROCESSOR_ACCOUNT_NOT_FOUND, PROCESSOR_UNAVAILABLE;
                nothing was stored.
        """
        account = await self._accounts.by_id(account_id or self._platform_accounts[processor])
        if account.processor != processor:
            raise KassaError(Reason.PROCESSOR_ACCOUNT_NOT_FOUND, "There is no such processor account.")
        try:
            event = await self._processors.get(processor).parse_event(account, headers, body)
        except EventRejected as rejected:
            reason = Reason.WEBHOOK_STALE if rejected.stale else Reason.WEBHOOK_SIGNATURE_INVALID
            raise KassaError(reason, str(rejected)) from None
        except (OutcomeUnknown, ProcessorUnavailable):
            # What the signature is checked with could not be fetched; the processor sends the event again.
            message = "The event cannot be verified now; send it again."
            raise KassaError(Reason.PROCESSOR_UNAVAILABLE, message) from None
        await self._shield.run(self._store_and_handle(account, event, body))

    async def _store_and_handle(self, account: Account, event: ProcessorEvent, body: bytes) -> None:
        stored = await self._transactions.run(store_event, _as_stored(account, event), body)
        if not stored.handled:
            await self._handle(stored)


def _as_stored(account: Account, event: ProcessorEvent) -> StoredEvent:
    return StoredEvent(
        account_id=account.id,
        event_id=event.id,
        processor=account.processor,
        type=event.type,
        subject=event.subject.value,
        processor_payment_id=event.processor_payment_id,
        processor_object_id=event.processor_object_id,
        transaction_id=event.transaction_id,
        attempts=0,
        created_at=event.created_at,
        handled=False,
    )
