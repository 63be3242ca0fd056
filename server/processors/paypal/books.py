"""What PayPal's own books say of a payment: its fee, and what was taken and returned in all. `adapter` calls."""

from collections.abc import Collection, Mapping
from typing import Any

from server.domain.fee import Fee
from server.processors.contract import Account, OutcomeUnknown, Totals
from server.processors.paypal.answers import read
from server.processors.paypal.connection import Json, PayPalConnection
from server.processors.paypal.currencies import read_money
from server.processors.paypal.fees import fee_of_capture
from server.processors.paypal.payments import CAPTURED
from server.processors.paypal.refusals import Refusal


class Books:
    """Every method raises `OutcomeUnknown`, `ProcessorUnavailable` or `ProcessorRejected`."""

    def __init__(self, connection: PayPalConnection) -> None:
        self._connection = connection

    async def fee(self, account: Account, capture_id: str) -> Fee | None:
        """Reads what PayPal kept of a capture; None where it does not say so yet."""
        return fee_of_capture(await self._read(account, f"v2/payments/captures/{capture_id}"))

    async def totals(self, account: Account, order_id: str) -> Totals:
        """Adds up the order's captures and refunds that are done."""
        return read(_totals, await self._read(account, f"v2/checkout/orders/{order_id}"))

    async def _read(self, account: Account, path: str) -> Json:
        try:
            return await self._connection.get(account, path)
        except Refusal as refusal:
            raise OutcomeUnknown(str(refusal)) from None


def _totals(order: Mapping[str, Any]) -> Totals:
    unit = order["purchase_units"][0]
    _, currency = read_money(unit["amount"])
    made = unit.get("payments") or {}
    captured = _sum(made.get("captures") or [], CAPTURED, currency)
    return Totals(captured, _sum(made.get("refunds") or [], {"COMPLETED"}, currency), currency)


def _sum(rows: list[Mapping[str, Any]], done: Collection[str], currency: str) -> int:
    amounts = [read_money(row["amount"]) for row in rows if row["status"] in done]
    if any(other != currency for _, other in amounts):
        raise ValueError("an order in several currencies")
    return sum(amount for amount, _ in amounts)
