"""`GET /books`: what the processors believe was held, taken and returned, in ISO 4217 minor units, to the cent."""

from collections.abc import Iterable
from typing import Any

from sandbox.accounts import Account, Accounts, Processor
from sandbox.currencies import paypal_exponent, stripe_exponent, to_iso
from sandbox.paypal.records import Order, PayPalBooks
from sandbox.stripe.records import PaymentIntent, StripeBooks

Json = dict[str, Any]

_REFERENCE = "kassa_transaction"
_AMOUNTS = ("authorized", "captured", "refunded", "disputed")
_HELD = ("CREATED", "PARTIALLY_CAPTURED")


class BooksReport:
    """Reads both processors' records."""

    def __init__(self, accounts: Accounts, stripe: StripeBooks, paypal: PayPalBooks) -> None:
        self._accounts = accounts
        self._stripe = stripe
        self._paypal = paypal

    def report(self, account_id: str | None) -> Json:
        """All accounts, or the one asked for, each with its payments and its totals by currency."""
        wanted = [account for account in self._accounts.all() if account_id in (None, account.id)]
        return {"accounts": [self._account(account) for account in wanted]}

    def _account(self, account: Account) -> Json:
        if account.processor is Processor.STRIPE:
            payments = [self._stripe_payment(intent) for intent in self._stripe.intents.of(account.id)]
        else:
            payments = [self._paypal_payment(order) for order in self._paypal.orders.of(account.id)]
        return {
            "id": account.id,
            "processor": account.processor,
            "payments": payments,
            "totals": _totals(payments),
        }

    def _stripe_payment(self, intent: PaymentIntent) -> Json:
        books, currency, exponent = self._stripe, intent.currency, stripe_exponent(intent.currency)
        charge = books.charges.get(intent.account, intent.latest_charge or "")
        held = charge is not None and charge.status == "succeeded"
        dispute = books.disputes.get(intent.account, charge.dispute or "") if charge else None
        lost = dispute.amount if dispute and dispute.withdrawn and dispute.status != "won" else 0
        refunds = (books.refunds.get(intent.account, key) for key in (charge.refunds if charge else ()))
        return {
            "id": intent.id,
            "reference": intent.metadata.get(_REFERENCE, ""),
            "metadata": intent.metadata,
            "state": intent.status,
            "currency": currency,
            "amount": to_iso(intent.amount, currency, exponent),
            "authorized": to_iso(intent.amount if held else 0, currency, exponent),
            "held": to_iso(intent.amount_capturable, currency, exponent),
            "captured": to_iso(intent.amount_received, currency, exponent),
            "refunded": to_iso(charge.amount_refunded if charge else 0, currency, exponent),
            "disputed": to_iso(lost, currency, exponent),
            "refunds": [
                {
                    "id": refund.id,
                    "reference": refund.metadata.get(_REFERENCE, ""),
                    "amount": to_iso(refund.amount, currency, exponent),
                    "state": refund.status,
                }
                for refund in refunds
                if refund and not refund.release
            ],
        }

    def _paypal_payment(self, order: Order) -> Json:
        books, account = self._paypal, order.account
        currency, exponent = order.currency, paypal_exponent(order.currency)
        holds = [hold for key in order.authorizations if (hold := books.authorizations.get(account, key))]
        captures = [row for key in order.captures if (row := books.captures.get(account, key))]
        taken = [row for row in captures if row.status not in ("PENDING", "DECLINED")]
        refunds = [back for key in order.refunds if (back := books.refunds.get(account, key))]
        direct = sum(row.amount for row in taken if not row.authorization)
        return {
            "id": order.id,
            "reference": order.custom_id,
            "invoice": order.invoice_id,
            "state": order.status,
            "currency": currency,
            "amount": to_iso(order.amount, currency, exponent),
            "authorized": to_iso(direct + sum(row.amount for row in holds), currency, exponent),
            "held": to_iso(sum(row.amount - row.captured for row in holds if row.status in _HELD), currency, exponent),
            "captured": to_iso(sum(row.amount for row in taken), currency, exponent),
            "refunded": to_iso(sum(row.amount for row in refunds), currency, exponent),
            "disputed": 0,
            "refunds": [
                {
                    "id": row.id,
                    "reference": row.custom_id,
                    "invoice": row.invoice_id,
                    "amount": to_iso(row.amount, currency, exponent),
                    "state": row.status,
                }
                for row in refunds
            ],
        }


def _totals(payments: Iterable[Json]) -> dict[str, dict[str, int]]:
    totals: dict[str, dict[str, int]] = {}
    for payment in payments:
        row = totals.setdefault(payment["currency"], {"payments": 0, **dict.fromkeys(_AMOUNTS, 0)})
        row["payments"] += 1
        for name in _AMOUNTS:
            row[name] += payment[name]
    return totals
