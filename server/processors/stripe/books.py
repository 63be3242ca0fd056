"""What Stripe's own books say of a payment: its fee, and what was taken and returned in all. `adapter` calls."""

from collections.abc import Mapping
from typing import Any

from server.domain.fee import Fee
from server.processors.contract import Account, Totals
from server.processors.stripe import intents, refunds
from server.processors.stripe.answers import read
from server.processors.stripe.connection import Json, StripeConnection
from server.processors.stripe.currencies import our_amount
from server.processors.stripe.fees import fee_of_charge

_PAGE = 100


class Books:
    """Every method raises `OutcomeUnknown`, `ProcessorUnavailable` or `ProcessorRejected`."""

    def __init__(self, connection: StripeConnection) -> None:
        self._connection = connection

    async def fee(self, account: Account, intent_id: str) -> Fee | None:
        """Reads what Stripe kept of a captured intent; None where it does not say so yet."""
        return fee_of_charge(read(_charge, await self._intent(account, intent_id)))

    async def totals(self, account: Account, intent_id: str) -> Totals:
        """Adds up what was captured and what came of the refunds.

        The charge's `amount_refunded` will not do: Stripe counts pending refunds in it, and what a partial capture has
        released, too. So the refunds are read one by one where it is not 0.
        """
        intent = await self._intent(account, intent_id)
        charge = read(_charge, intent)
        returned = await self._returned(account, intent_id) if charge.get("amount_refunded") else 0
        return read(lambda found: _totals(found, returned), intent)

    async def _returned(self, account: Account, intent_id: str) -> int:
        """Adds up, in Stripe's units, what the refunds have returned for good."""
        returned, page = 0, await self._refunds(account, intent_id)
        while page.get("has_more"):
            returned += read(_page_returned, page)
            last = read(lambda found: str(found["data"][-1]["id"]), page)
            page = await self._refunds(account, intent_id, starting_after=last)
        return returned + read(_page_returned, page)

    async def _refunds(self, account: Account, intent_id: str, **after: str) -> Json:
        params: Any = {"payment_intent": intent_id, "limit": _PAGE, **after}
        return await self._connection.get(account, "/v1/refunds", params)

    async def _intent(self, account: Account, intent_id: str) -> Json:
        params: Any = {"expand": intents.EXPAND}
        return await self._connection.get(account, f"/v1/payment_intents/{intent_id}", params)


def _charge(intent: Mapping[str, Any]) -> Mapping[str, Any]:
    """The charge, which is expanded; empty where nothing was attempted yet."""
    charge: Mapping[str, Any] | None = intent["latest_charge"]
    if charge is not None and not isinstance(charge, Mapping):
        raise TypeError("the charge is not expanded")
    return charge or {}


def _totals(intent: Mapping[str, Any], returned: int) -> Totals:
    currency = str(intent["currency"]).upper()
    return Totals(our_amount(currency, intent["amount_received"]), our_amount(currency, returned), currency)


def _page_returned(page: Mapping[str, Any]) -> int:
    return sum(refund["amount"] for refund in page["data"] if refunds.has_returned(refund))
