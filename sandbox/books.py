"""`GET /books`: what the processors believe was taken, returned and kept, in ISO 4217 minor units, to the cent.

`fees` is all that the processor kept, `dispute_fees` what disputes cost of it. `disputed` has left the account for
disputes, `held` is withheld while they are open.
"""

from collections.abc import Iterable
from typing import Any

from sandbox.accounts import Account, Accounts, Processor
from sandbox.currencies import paypal_exponent, stripe_exponent, to_iso
from sandbox.paypal.money import fee_of
from sandbox.paypal.records import Dispute, Order, PayPalBooks
from sandbox.stripe.records import Charge, PaymentIntent, StripeBooks

Json = dict[str, Any]

_REFERENCE = "kassa_transaction"
_AMOUNTS = ("authorized", "captured", "refunded", "disputed", "held", "fees", "dispute_fees")
_CAPTURABLE = ("CREATED", "PARTIALLY_CAPTURED")


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
        kept = self._stripe_fee(charge, [charge.balance_transaction]) if charge else 0
        refunds = (books.refunds.get(intent.account, key) for key in (charge.refunds if charge else ()))
        return {
            "id": intent.id,
            "reference": intent.metadata.get(_REFERENCE, ""),
            "metadata": intent.metadata,
            "state": intent.status,
            "currency": currency,
            "amount": to_iso(intent.amount, currency, exponent),
            "authorized": to_iso(intent.amount if held else 0, currency, exponent),
            "capturable": to_iso(intent.amount_capturable, currency, exponent),
            "captured": to_iso(intent.amount_received, currency, exponent),
            "refunded": to_iso(charge.amount_refunded if charge else 0, currency, exponent),
            **_kept(to_iso(kept, currency, exponent), self._stripe_disputes(charge)),
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

    def _stripe_disputes(self, charge: Charge | None) -> list[Json]:
        dispute = self._stripe.disputes.get(charge.account, charge.dispute or "") if charge else None
        if charge is None or dispute is None:
            return []
        exponent = stripe_exponent(charge.currency)
        movements = dispute.balance_transactions
        gone = dispute.withdrawn and dispute.status != "won"
        return [
            {
                "id": dispute.id,
                "state": dispute.status,
                "amount": to_iso(dispute.amount, charge.currency, exponent),
                "disputed": to_iso(dispute.amount if gone else 0, charge.currency, exponent),
                "held": 0,
                "fees": to_iso(self._stripe_fee(charge, movements), charge.currency, exponent),
            }
        ]

    @staticmethod
    def _paypal_dispute(dispute: Dispute) -> Json:
        moved = [one for one in dispute.movements if one.party == "SELLER"]
        gone = sum(one.amount for one in moved if one.reason == "DISPUTE_SETTLEMENT")
        amounts = {
            "amount": dispute.amount,
            "disputed": gone,
            "held": 0 if dispute.status == "RESOLVED" else dispute.amount,
            "fees": sum(one.amount for one in moved) - gone,
        }
        exponent = paypal_exponent(dispute.currency)
        exact = {name: to_iso(amount, dispute.currency, exponent) for name, amount in amounts.items()}
        return {"id": dispute.id, "state": dispute.outcome or dispute.status, **exact}

    def _stripe_fee(self, charge: Charge, movements: Iterable[str | None]) -> int:
        rows = (self._stripe.balance_transactions.get(charge.account, key or "") for key in movements)
        return sum(row.fee for row in rows if row)

    def _paypal_payment(self, order: Order) -> Json:
        books, account = self._paypal, order.account
        currency, exponent = order.currency, paypal_exponent(order.currency)
        holds = [hold for key in order.authorizations if (hold := books.authorizations.get(account, key))]
        captures = [row for key in order.captures if (row := books.captures.get(account, key))]
        taken = [row for row in captures if row.status not in ("PENDING", "DECLINED")]
        refunds = [back for key in order.refunds if (back := books.refunds.get(account, key))]
        disputes = [self._paypal_dispute(row) for row in books.disputes.of(account) if row.capture in order.captures]
        direct = sum(row.amount for row in taken if not row.authorization)
        return {
            "id": order.id,
            "reference": order.custom_id,
            "invoice": order.invoice_id,
            "state": order.status,
            "currency": currency,
            "amount": to_iso(order.amount, currency, exponent),
            "authorized": to_iso(direct + sum(row.amount for row in holds), currency, exponent),
            "capturable": to_iso(
                sum(row.amount - row.captured for row in holds if row.status in _CAPTURABLE), currency, exponent
            ),
            "captured": to_iso(sum(row.amount for row in taken), currency, exponent),
            "refunded": to_iso(sum(row.amount for row in refunds), currency, exponent),
            **_kept(sum(to_iso(fee_of(row.amount), currency, exponent) for row in taken), disputes),
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


def _kept(capture_fees: int, disputes: list[Json]) -> Json:
    dispute_fees = sum(row["fees"] for row in disputes)
    return {
        "disputed": sum(row["disputed"] for row in disputes),
        "held": sum(row["held"] for row in disputes),
        "fees": capture_fees + dispute_fees,
        "dispute_fees": dispute_fees,
        "disputes": disputes,
    }


def _totals(payments: Iterable[Json]) -> dict[str, dict[str, int]]:
    totals: dict[str, dict[str, int]] = {}
    for payment in payments:
        row = totals.setdefault(payment["currency"], {"payments": 0, **dict.fromkeys(_AMOUNTS, 0)})
        row["payments"] += 1
        for name in _AMOUNTS:
            row[name] += payment[name]
    return totals
