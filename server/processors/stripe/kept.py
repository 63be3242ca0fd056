"""What may be kept of calls to Stripe. `connection` records with it; a field that is not named here is never stored.

Texts are left out on purpose: a message of Stripe's may quote the parameter that it complains about.
"""

from collections.abc import Mapping

from server.processors.redaction import Kept, address, each, matching, plain

_IDS = ("kassa_transaction", "kassa_payment", "kassa_merchant", "kassa_fence")

REQUEST: Mapping[str, Kept] = dict.fromkeys(
    (
        "amount",
        "amount_to_capture",
        "cancellation_reason",
        "capture_method",
        "charge",
        "confirm",
        "currency",
        "error_on_requires_action",
        "limit",
        "payment_intent",
        "payment_method_data[card][exp_month]",
        "payment_method_data[card][exp_year]",
        "payment_method_data[type]",
        "payment_method_options[card][request_three_d_secure]",
        "payment_method_types[0]",
        "query",
        "reason",
        "submit",
        *(f"expand[{index}]" for index in range(4)),
        *(f"metadata[{name}]" for name in _IDS),
    ),
    plain,
) | {
    # Stripe's tokens work with the account's own key alone; whatever else a merchant sends in their place is hidden.
    "payment_method": matching("(pm|card|src|ba)_[A-Za-z0-9_]+"),
    "return_url": address,
}
"""By the flat names of the form."""


def _plain(names: str) -> dict[str, Kept]:
    return dict.fromkeys(names.split(), plain)


_METADATA: dict[str, Kept] = dict.fromkeys(_IDS, plain)

_CARD: dict[str, Kept] = _plain("brand country exp_month exp_year funding last4 network request_three_d_secure") | {
    "checks": _plain("address_line1_check address_postal_code_check cvc_check"),
    "three_d_secure": _plain("authentication_flow electronic_commerce_indicator result result_reason version"),
}
_METHOD: dict[str, Kept] = {
    "type": plain,
    "card": _CARD,
    "us_bank_account": _plain("account_type bank_name last4"),
    "sepa_debit": _plain("bank_code country last4"),
    "crypto": _plain("network token_currency transaction_hash"),
}
_BALANCE_TRANSACTION: dict[str, Kept] = _plain(
    "id object amount available_on created currency exchange_rate fee net reporting_category source status type"
) | {"fee_details": _plain("amount currency type")}
_OUTCOME = _plain(
    "advice_code network_advice_code network_decline_code network_status reason risk_level risk_score type"
)
_ERROR = _plain("code decline_code network_decline_code advice_code param type charge")

_CHARGE: dict[str, Kept] = _plain(
    "id object amount amount_captured amount_refunded captured created currency disputed failure_code livemode paid "
    "payment_intent payment_method refunded status"
) | {
    "balance_transaction": _BALANCE_TRANSACTION,
    "outcome": _OUTCOME,
    "payment_method_details": _METHOD,
}
_INTENT: dict[str, Kept] = _plain(
    "id object amount amount_capturable amount_received canceled_at cancellation_reason capture_method "
    "confirmation_method created currency livemode payment_method status"
) | {
    "last_payment_error": _ERROR,
    "latest_charge": _CHARGE,
    "metadata": _METADATA,
    "next_action": {"type": plain, "redirect_to_url": {"url": address, "return_url": address}},
    "payment_method_options": {"card": _CARD},
    "payment_method_types": each,
}
_REFUND = _plain("charge failure_reason failure_balance_transaction payment_intent reason")
_DISPUTE: dict[str, Kept] = {
    "evidence_details": _plain("due_by has_evidence past_due submission_count"),
    "balance_transactions": _BALANCE_TRANSACTION,
    "is_charge_refundable": plain,
}
_WARNING = _plain("actionable fraud_type")
_OBJECT: dict[str, Kept] = _CHARGE | _INTENT | _REFUND | _DISPUTE | _BALANCE_TRANSACTION | _WARNING
"""Objects share the names of their fields, so one list serves all of them."""

RESPONSE: dict[str, Kept] = _OBJECT | {
    "has_more": plain,
    "data": _OBJECT,
    "error": _ERROR | {"payment_intent": _INTENT},
}
