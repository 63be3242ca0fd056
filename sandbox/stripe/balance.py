"""Movements of an account's Stripe balance, with the sandbox's fee; charges, refunds and disputes book them."""

from typing import Final

from sandbox.currencies import stripe_step
from sandbox.stripe import objects
from sandbox.stripe.context import Call, Context, Json, new_id, now
from sandbox.stripe.errors import missing
from sandbox.stripe.records import BalanceTransaction, Charge, Dispute, Refund

DISPUTE_FEE: Final = 1500
"""In units of the disputed currency."""


def fee_of(amount: int, currency: str) -> int:
    """2.9 % and 30 units, up to what the currency can express."""
    exact, step = (amount * 29 + 500) // 1000 + 30, stripe_step(currency)
    return -(-exact // step) * step


def book_charge(context: Context, charge: Charge, kind: str) -> str:
    """Books what was captured; `kind` is `charge`, or `payment` for other methods than cards."""
    fee = fee_of(charge.amount_captured, charge.currency)
    return _book(context, charge, (kind, "charge"), charge.amount_captured, fee, charge.id)


def book_refund(context: Context, charge: Charge, refund: Refund) -> str:
    """Books a refund."""
    return _book(context, charge, ("refund", "refund"), -refund.amount, 0, refund.id)


def book_refund_failure(context: Context, charge: Charge, refund: Refund) -> str:
    """Books the money of a refund that came back."""
    return _book(context, charge, ("refund_failure", "refund_failure"), refund.amount, 0, refund.id)


def book_dispute(context: Context, charge: Charge, dispute: Dispute, *, won: bool) -> str:
    """Books the withdrawal of a disputed amount with its fee, or its return once won (the fee stays)."""
    if won:
        return _book(context, charge, ("adjustment", "dispute_reversal"), dispute.amount, 0, dispute.id)
    return _book(context, charge, ("adjustment", "dispute"), -dispute.amount, DISPUTE_FEE, dispute.id)


def _book(context: Context, charge: Charge, kind: tuple[str, str], amount: int, fee: int, source: str) -> str:  # noqa: PLR0913, PLR0917  # a line of the books
    record = BalanceTransaction(
        charge.account, new_id("txn"), now(), *kind, amount=amount, fee=fee, currency=charge.currency, source=source
    )
    return context.books.balance_transactions.put(record).id


def retrieve(context: Context, call: Call) -> Json:
    """GET /v1/balance_transactions/{id}"""
    record = context.books.balance_transactions.get(call.account.id, call.path["id"])
    if record is None:
        raise missing("balance transaction", call.path["id"], "id")
    return objects.balance_transaction(record)
