"""Finds out what became of a request to Stripe whose answer was lost, and carries waiting intents on. `adapter` calls.

An authorization's card is gone by then, so its key is *fenced*: an intent without card and confirmation is created
under it. Where that works, the original never ran, and Stripe will refuse a late one for its other parameters. Where
Stripe refuses the fence for that reason, the original ran: it is looked for by our reference.
"""

from typing import Any, assert_never

from server.domain.outcome import ActionRequired, Approved, Outcome, Pending
from server.processors.contract import (
    Account,
    Authorization,
    Capture,
    OutcomeUnknown,
    Refund,
    Void,
)
from server.processors.key_lifetime import key_lives
from server.processors.stripe import intents, refunds
from server.processors.stripe.answers import payment_intent, read, write
from server.processors.stripe.connection import Json, StripeConnection
from server.processors.stripe.currencies import CAPABILITIES, wire_amount
from server.processors.stripe.operations import Operations, key_of
from server.processors.stripe.refusals import Refusal


class Recovery:
    """See the module. Methods raise `OutcomeUnknown` where it cannot be told yet."""

    def __init__(self, connection: StripeConnection, operations: Operations) -> None:
        self._connection, self._operations = connection, operations

    async def complete(self, account: Account, request: Authorization) -> Outcome:
        """Reads a known intent, and confirms it if that is all it waits for."""
        intent = await self._retrieve(account, payment_intent(request))
        if not intents.is_ours(intent, request):
            raise OutcomeUnknown(
                f"stripe payment intent {intent.get('id')} is not of transaction {request.transaction_id}"
            )
        if read(lambda found: found["status"], intent) != "requires_confirmation":
            return read(intents.outcome, intent)
        asked = write(lambda: wire_amount(request.currency, request.amount)), request.currency.lower()
        if (intent.get("amount"), intent.get("currency")) != asked:
            raise OutcomeUnknown(f"stripe payment intent {intent.get('id')} has another amount than its transaction")
        return await self._operations.confirm(account, request)

    async def resolve(self, account: Account, request: Authorization | Capture | Void | Refund) -> Outcome:
        """See `Processor`."""
        match request:
            case Authorization():
                return await self._authorization(account, request)
            case Capture():
                # An intent is captured once, so a repeat under a key that Stripe has forgotten cannot take twice.
                intent = await self._retrieve(account, payment_intent(request))
                captured = read(intents.capture_outcome, intent)
                return captured or await self._operations.capture(account, request)
            case Void():
                intent = await self._retrieve(account, payment_intent(request))
                voided = read(intents.void_outcome, intent)
                return await self._operations.void(account, request) if isinstance(voided, Pending) else voided
            case Refund():
                return await self._refund(account, request)
            case _:
                assert_never(request)

    async def _authorization(self, account: Account, request: Authorization) -> Outcome:
        if request.processor_payment_id is not None:
            return read(intents.outcome, await self._retrieve(account, request.processor_payment_id))
        if not key_lives(request, CAPABILITIES):
            return await self._find(account, request)
        if request.instrument is None:
            return await self._fence(account, request)
        repeated = await self._operations.authorize(account, request)
        if isinstance(repeated, ActionRequired | Pending | Approved):
            # A repeat tells how the intent stood at first; what was held may have been captured or voided since.
            return read(intents.outcome, await self._retrieve(account, repeated.processor_payment_id))
        return repeated

    async def _fence(self, account: Account, request: Authorization) -> Outcome:
        params: Any = write(lambda: intents.fence(request))
        options = key_of(request)
        try:
            bare = await self._connection.post(account, "/v1/payment_intents", params, options)
        except Refusal as refusal:
            if refusal.other_parameters:
                return await self._find(account, request)
            raise OutcomeUnknown(str(refusal)) from None
        await self._cancel_bare(account, request, read(lambda found: str(found["id"]), bare))
        return read(intents.outcome, bare)

    async def _cancel_bare(self, account: Account, request: Authorization, intent_id: str) -> None:
        """Tidies up. The fence holds without it, and an intent that is cancelled already refuses: both are fine."""
        options = key_of(request, "-fence")
        try:
            await self._connection.post(account, f"/v1/payment_intents/{intent_id}/cancel", {}, options)
        except Refusal as refusal:
            if (refusal.intent or {}).get("status") != "canceled":
                raise OutcomeUnknown(str(refusal)) from None

    async def _find(self, account: Account, request: Authorization) -> Outcome:
        """Looks for the intent by our reference. A hit is evidence and is read again; that there is none is not."""
        params: Any = {"query": f"metadata['kassa_transaction']:'{request.transaction_id}'", "limit": 10}
        hits = await self._connection.get(account, "/v1/payment_intents/search", params)
        ours = read(lambda found: [hit for hit in found["data"] if intents.is_ours(hit, request)], hits)
        if not ours:
            raise OutcomeUnknown(f"stripe does not find an intent of transaction {request.transaction_id} (yet)")
        real = min(ours, key=lambda hit: intents.FENCE in hit["metadata"])
        return read(intents.outcome, await self._retrieve(account, real["id"]))

    async def _refund(self, account: Account, request: Refund) -> Outcome:
        if request.processor_transaction_id is not None:
            return await self._read_refund(account, request.processor_transaction_id)
        if not key_lives(request, CAPABILITIES):
            return await self._find_refund(account, request)
        repeated = await self._operations.refund(account, request)
        if isinstance(repeated, Approved | Pending) and repeated.processor_transaction_id:
            # A repeat tells how the refund stood at first; it may have failed since.
            return await self._read_refund(account, repeated.processor_transaction_id)
        return repeated

    async def _read_refund(self, account: Account, refund_id: str) -> Outcome:
        refund = await self._connection.get(account, f"/v1/refunds/{refund_id}")
        return read(refunds.outcome, refund)

    async def _find_refund(self, account: Account, request: Refund) -> Outcome:
        params: Any = {"payment_intent": payment_intent(request), "limit": 100}
        found = await self._connection.get(account, "/v1/refunds", params)
        ours = read(lambda page: [refund for refund in page["data"] if intents.is_ours(refund, request)], found)
        if ours:
            return read(refunds.outcome, ours[0])
        raise OutcomeUnknown(f"stripe lists no refund of transaction {request.transaction_id}")

    async def _retrieve(self, account: Account, intent_id: str) -> Json:
        params: Any = {"expand": intents.EXPAND}
        return await self._connection.get(account, f"/v1/payment_intents/{intent_id}", params)
