"""Payment intents: what is sent to make one, and what its state means. Pure; `adapter` and `recovery` use it.

https://docs.stripe.com/api/payment_intents/object
"""

import logging
from collections.abc import Mapping
from typing import Any, assert_never

from server.domain.card import Card
from server.domain.decline import DeclineCode
from server.domain.outcome import ActionRequired, Approved, Cancelled, Declined, Outcome, Pending
from server.domain.payment import Method
from server.processors.contract import Authorization, BankOrCrypto, ProcessorToken, Request, Wallet
from server.processors.failures import failure
from server.processors.stripe.checks import checks_of
from server.processors.stripe.currencies import our_amount, wire_amount
from server.processors.stripe.declines import decline
from server.processors.stripe.fees import fee_of_charge

_log = logging.getLogger(__name__)

Json = dict[str, Any]
Intent = Mapping[str, Any]

EXPAND = ["latest_charge.balance_transaction"]
"""The charge tells the card of a token, its balance transaction the fee; the path expands both."""
FENCE = "kassa_fence"
"""Metadata of an intent that recovery made in place of one that was never sent."""

_BANK_DEBITS = {"USD": "us_bank_account", "EUR": "sepa_debit"}


def metadata(request: Request) -> dict[str, str]:
    """Our references, as they travel with every object."""
    return {
        "kassa_transaction": str(request.transaction_id),
        "kassa_payment": str(request.payment_id),
        "kassa_merchant": str(request.merchant_id),
    }


def is_ours(intent: Intent, request: Request) -> bool:
    """Whether the intent was made by this very transaction."""
    return bool((intent.get("metadata") or {}).get("kassa_transaction") == str(request.transaction_id))


def creation(request: Authorization) -> Json:
    """Parameters that create and confirm an intent: the same for the same request, since a repeat must be identical."""
    kind = _payment_method_type(request)
    params = _bare(request, kind) | {
        "confirm": True,
        "capture_method": "automatic" if request.capture else "manual",
        "metadata": metadata(request),
        "expand": EXPAND,
        **_instrument(request, kind),
    }
    if request.description:
        params["description"] = request.description
    if request.return_url:
        params["return_url"] = request.return_url
    elif kind == "card":
        # Nobody could send the customer to the bank's page: https://docs.stripe.com/error-codes#authentication-required
        params["error_on_requires_action"] = True
    if kind == "card" and request.challenge:
        params["payment_method_options"] = {"card": {"request_three_d_secure": "any"}}
    return params


def fence(request: Authorization) -> Json:
    """Parameters that take an authorization's key without asking for money: no instrument and no confirmation."""
    return _bare(request, _payment_method_type(request)) | {"metadata": metadata(request) | {FENCE: "true"}}


def outcome(intent: Intent) -> Outcome:  # noqa: PLR0911  # one return for each status
    """Says what an intent means for its authorization.

    Raises:
        KeyError, TypeError, ValueError: It is no intent that Stripe would describe.
    """
    key, status = str(intent["id"]), intent["status"]
    if (intent.get("metadata") or {}).get(FENCE):
        return Declined(failure=failure(DeclineCode.NOT_SUBMITTED), processor_payment_id=key)
    match status:
        case "succeeded":
            return approval(intent, captured=intent["amount_received"] == intent["amount"], amount=intent["amount"])
        case "requires_capture":
            return approval(intent, captured=False, amount=intent["amount_capturable"])
        case "requires_action":
            return _action(intent)
        case "requires_payment_method" if intent.get("last_payment_error"):
            return declined(intent["last_payment_error"], key)
        case "canceled":
            return Cancelled(processor_payment_id=key)
        case "processing" | "requires_confirmation":
            return Pending(processor_payment_id=key)
        case _:
            _log.error("stripe payment intent %s has a status that we do not know: %s", key, status)
            return Pending(processor_payment_id=key)


def capture_outcome(intent: Intent) -> Outcome | None:
    """Says what an intent means for its capture; None where it still waits to be captured."""
    match intent["status"]:
        case "succeeded":
            return approval(intent, captured=True, amount=intent["amount_received"])
        case "requires_capture":
            return None
        case _:
            return outcome(intent)


def void_outcome(intent: Intent) -> Outcome:
    """Says what an intent means for its cancellation; Pending where it can be cancelled still."""
    key = str(intent["id"])
    match intent["status"]:
        case "canceled":
            return Cancelled(processor_payment_id=key)
        case "succeeded":
            why = failure(DeclineCode.OPERATION_REFUSED, "payment_intent_unexpected_state")
            return Declined(failure=why, processor_payment_id=key)
        case _:
            return Pending(processor_payment_id=key)


def approval(intent: Intent, *, captured: bool, amount: int) -> Approved:
    """The approval of `amount` (Stripe's units), with card and fee as far as the charge tells them."""
    currency = str(intent["currency"]).upper()
    charge = intent.get("latest_charge")
    details = charge if isinstance(charge, Mapping) else {}
    method = details.get("payment_method_details") or {}
    card = method.get("card") or {}
    return Approved(
        processor_payment_id=str(intent["id"]),
        processor_transaction_id=str(details.get("id") or charge or ""),
        amount=our_amount(currency, amount),
        currency=currency,
        captured=captured,
        card_brand=str(card.get("brand") or ""),
        card_last4=str(card.get("last4") or ""),
        card_exp_month=card.get("exp_month"),
        card_exp_year=card.get("exp_year"),
        fee=fee_of_charge(details) if captured else None,
        checks=checks_of(method),
    )


def declined(error: Mapping[str, Any], intent_id: str) -> Declined:
    """The decline that an error of type `card_error` tells, or an intent's `last_payment_error`."""
    return Declined(
        failure=decline(error), processor_payment_id=intent_id, checks=checks_of(error.get("payment_method"))
    )


def _action(intent: Intent) -> Outcome:
    key, action = str(intent["id"]), intent.get("next_action") or {}
    kind = str(action.get("type") or "")
    page = action.get(kind) or {}
    # https://docs.stripe.com/api/payment_intents/object#payment_intent_object-next_action
    url = page.get("url") or page.get("hosted_verification_url") or page.get("hosted_instructions_url")
    if not url:
        _log.error("stripe payment intent %s needs an action without a page: %s", key, kind)
        return Pending(processor_payment_id=key)
    return ActionRequired(processor_payment_id=key, redirect_url=str(url))


def _bare(request: Authorization, kind: str) -> Json:
    return {
        "amount": wire_amount(request.currency, request.amount),
        "currency": request.currency.lower(),
        "payment_method_types": [kind],
    }


def _payment_method_type(request: Authorization) -> str:
    match request.method:
        case Method.CREDIT_CARD | Method.DEBIT_CARD:
            return "card"
        case Method.BANK_TRANSFER:
            return _BANK_DEBITS[request.currency]
        case Method.CRYPTOCURRENCY:
            return "crypto"
        case Method.DIGITAL_WALLET:
            raise ValueError("stripe does not serve digital wallets here")
        case _:
            assert_never(request.method)


def _instrument(request: Authorization, kind: str) -> Json:
    params: Json = {}
    if request.method is Method.BANK_TRANSFER:
        # The merchant took the mandate; Stripe wants to know how: https://docs.stripe.com/api/mandates
        params["mandate_data"] = {"customer_acceptance": {"type": "offline"}}
    match request.instrument:
        case Card() as card:
            numbers = {"number": card.number, "exp_month": card.exp_month, "exp_year": card.exp_year}
            if card.cvc:
                numbers["cvc"] = card.cvc
            method: Json = {"type": "card", "card": numbers}
        case ProcessorToken(value=token):
            return params | {"payment_method": token}
        case BankOrCrypto():
            method = {"type": kind}
        case Wallet() | None:
            raise ValueError("stripe needs an instrument to confirm with")
        case _:
            assert_never(request.instrument)
    if known := _billing_details(request):
        method["billing_details"] = known
    return params | {"payment_method_data": method}


def _billing_details(request: Authorization) -> Json:
    """What is known of who pays; the issuer checks the address: https://docs.stripe.com/disputes/prevention/verification"""
    told = request.billing_address
    address = {
        "line1": told.line1,
        "line2": told.line2,
        "city": told.city,
        "state": told.region,
        "postal_code": told.postal_code,
        "country": told.country,
    }
    details = {"name": request.customer_name, "email": request.customer_email, "address": _known(address)}
    return _known(details)


def _known(fields: Mapping[str, Any]) -> Json:
    return {name: value for name, value in fields.items() if value}
