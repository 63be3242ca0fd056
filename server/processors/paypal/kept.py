"""What may be kept of calls to PayPal. `connection` records with it; a field that is not named here is never stored.

Links are kept by what they are for: their addresses hold tokens. `payer`, `payee` and `payment_source` tell of people.
"""

from server.processors.redaction import Kept, address, plain, reference


def _plain(names: str) -> dict[str, Kept]:
    return dict.fromkeys(names.split(), plain)


_MONEY = _plain("currency_code value")
_OURS: dict[str, Kept] = {"custom_id": reference, "invoice_id": reference}

_CONTEXT: dict[str, Kept] = _plain("shipping_preference user_action") | {"return_url": address, "cancel_url": address}

REQUEST: dict[str, Kept] = _OURS | {
    "amount": _MONEY,
    "final_capture": plain,
    "intent": plain,
    "payment_source": {"paypal": {"experience_context": _CONTEXT}},
    "purchase_units": _OURS | {"amount": _MONEY},
}

_MADE: dict[str, Kept] = (
    _OURS
    | _plain("id status create_time update_time expiration_time final_capture")
    | {
        "amount": _MONEY,
        "links": _plain("rel method"),
        "processor_response": _plain("avs_code cvv_code payment_advice_code response_code"),
        "seller_payable_breakdown": {
            name: _MONEY for name in ("gross_amount", "paypal_fee", "net_amount", "total_refunded_amount")
        },
        "seller_protection": _plain("status"),
        "seller_receivable_breakdown": {
            name: _MONEY for name in ("gross_amount", "paypal_fee", "net_amount", "receivable_amount")
        }
        | {"exchange_rate": _plain("source_currency target_currency value")},
        "status_details": _plain("reason"),
        "supplementary_data": {"related_ids": _plain("authorization_id capture_id order_id")},
    }
)
"""An authorization, a capture or a refund."""

_PAYMENTS: dict[str, Kept] = dict.fromkeys(("authorizations", "captures", "refunds"), _MADE)

_DISPUTE: dict[str, Kept] = _plain(
    "dispute_id reason dispute_state dispute_life_cycle_stage dispute_channel seller_response_due_date "
    "buyer_response_due_date"
) | {
    "dispute_amount": _MONEY,
    "dispute_outcome": {"outcome_code": plain, "amount_refunded": _MONEY},
    "disputed_transactions": {"seller_transaction_id": plain, "gross_amount": _MONEY},
    "fee_policy": {"type": plain, "fee": _MONEY},
}

RESPONSE: dict[str, Kept] = (
    _MADE
    | _DISPUTE
    | _plain("intent name debug_id error")
    | {"details": _plain("field issue location"), "purchase_units": _OURS | {"amount": _MONEY, "payments": _PAYMENTS}}
)
"""An order, what was made of it, a dispute, or an error."""
