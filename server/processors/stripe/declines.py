"""Stripe's decline and error codes in our vocabulary; `intents` and `refunds` look them up."""

import logging
from collections.abc import Mapping
from typing import Any

from server.domain.decline import Advice, DeclineCode, Failure
from server.processors.failures import failure

_log = logging.getLogger(__name__)

_CODES: Mapping[str, DeclineCode] = {
    # https://docs.stripe.com/declines/codes
    "approve_with_id": DeclineCode.CARD_DECLINED,
    "authentication_required": DeclineCode.AUTHENTICATION_FAILED,
    "call_issuer": DeclineCode.CARD_DECLINED,
    "card_not_supported": DeclineCode.NOT_PERMITTED,
    "card_velocity_exceeded": DeclineCode.LIMIT_EXCEEDED,
    "currency_not_supported": DeclineCode.CURRENCY_NOT_ACCEPTED,
    "do_not_honor": DeclineCode.CARD_DECLINED,
    "do_not_try_again": DeclineCode.CARD_DECLINED,
    "duplicate_transaction": DeclineCode.CARD_DECLINED,
    "expired_card": DeclineCode.EXPIRED_CARD,
    "fraudulent": DeclineCode.PROCESSOR_FRAUD,
    "generic_decline": DeclineCode.CARD_DECLINED,
    "incorrect_address": DeclineCode.CARD_DECLINED,
    "incorrect_cvc": DeclineCode.INCORRECT_CVC,
    "incorrect_number": DeclineCode.INCORRECT_NUMBER,
    "incorrect_pin": DeclineCode.CARD_DECLINED,
    "incorrect_zip": DeclineCode.CARD_DECLINED,
    "insufficient_funds": DeclineCode.INSUFFICIENT_FUNDS,
    "invalid_account": DeclineCode.INSTRUMENT_INVALID,
    "invalid_amount": DeclineCode.LIMIT_EXCEEDED,
    "invalid_cvc": DeclineCode.INCORRECT_CVC,
    "invalid_expiry_month": DeclineCode.INCORRECT_NUMBER,
    "invalid_expiry_year": DeclineCode.INCORRECT_NUMBER,
    "invalid_number": DeclineCode.INCORRECT_NUMBER,
    "invalid_pin": DeclineCode.CARD_DECLINED,
    "issuer_not_available": DeclineCode.PROCESSING_ERROR,
    "live_mode_test_card": DeclineCode.INSTRUMENT_INVALID,
    "lost_card": DeclineCode.LOST_OR_STOLEN,
    "merchant_blacklist": DeclineCode.PROCESSOR_FRAUD,
    "mobile_device_authentication_required": DeclineCode.AUTHENTICATION_FAILED,
    "new_account_information_available": DeclineCode.CARD_DECLINED,
    "no_action_taken": DeclineCode.CARD_DECLINED,
    "not_permitted": DeclineCode.NOT_PERMITTED,
    "offline_pin_required": DeclineCode.AUTHENTICATION_FAILED,
    "online_or_offline_pin_required": DeclineCode.AUTHENTICATION_FAILED,
    "pickup_card": DeclineCode.LOST_OR_STOLEN,
    "pin_try_exceeded": DeclineCode.LIMIT_EXCEEDED,
    "processing_error": DeclineCode.PROCESSING_ERROR,
    "reenter_transaction": DeclineCode.PROCESSING_ERROR,
    "restricted_card": DeclineCode.LOST_OR_STOLEN,
    "revocation_of_all_authorizations": DeclineCode.NOT_PERMITTED,
    "revocation_of_authorization": DeclineCode.NOT_PERMITTED,
    "security_violation": DeclineCode.CARD_DECLINED,
    "service_not_allowed": DeclineCode.NOT_PERMITTED,
    "stolen_card": DeclineCode.LOST_OR_STOLEN,
    "stop_payment_order": DeclineCode.NOT_PERMITTED,
    "test_mode_live_card": DeclineCode.INSTRUMENT_INVALID,
    "testmode_decline": DeclineCode.INSTRUMENT_INVALID,
    "transaction_not_allowed": DeclineCode.NOT_PERMITTED,
    "try_again_later": DeclineCode.PROCESSING_ERROR,
    "withdrawal_count_limit_exceeded": DeclineCode.LIMIT_EXCEEDED,
    # https://docs.stripe.com/error-codes, those that speak of the instrument or the amount
    "account_closed": DeclineCode.INSTRUMENT_INVALID,
    "amount_too_large": DeclineCode.LIMIT_EXCEEDED,
    "amount_too_small": DeclineCode.LIMIT_EXCEEDED,
    "bank_account_restricted": DeclineCode.NOT_PERMITTED,
    "bank_account_unusable": DeclineCode.INSTRUMENT_INVALID,
    "bank_account_unverified": DeclineCode.INSTRUMENT_INVALID,
    "card_declined": DeclineCode.CARD_DECLINED,
    "debit_not_authorized": DeclineCode.NOT_PERMITTED,
    "incorrect_account_holder_name": DeclineCode.INSTRUMENT_INVALID,
    "invalid_card_type": DeclineCode.NOT_PERMITTED,
    "invalid_currency": DeclineCode.CURRENCY_NOT_ACCEPTED,
    "no_account": DeclineCode.INSTRUMENT_INVALID,
    "payment_intent_authentication_failure": DeclineCode.AUTHENTICATION_FAILED,
    "payment_intent_payment_attempt_expired": DeclineCode.CUSTOMER_ABANDONED,
    "payment_intent_payment_attempt_failed": DeclineCode.CARD_DECLINED,
    "payment_method_currency_mismatch": DeclineCode.CURRENCY_NOT_ACCEPTED,
    "payment_method_customer_decline": DeclineCode.CUSTOMER_ABANDONED,
    "payment_method_not_available": DeclineCode.PROCESSING_ERROR,
    "payment_method_provider_decline": DeclineCode.CARD_DECLINED,
    "payment_method_provider_timeout": DeclineCode.PROCESSING_ERROR,
    "payment_method_unactivated": DeclineCode.NOT_PERMITTED,
    "payment_method_unexpected_state": DeclineCode.INSTRUMENT_INVALID,
}

# https://docs.stripe.com/declines#retrying-issuer-declines
_ADVICE: Mapping[str, Advice] = {
    "confirm_card_data": Advice.CONFIRM_CARD_DATA,
    "do_not_try_again": Advice.DO_NOT_RETRY,
    "try_again_later": Advice.RETRY_LATER,
}

REFUSED_OPERATIONS = frozenset(
    {
        # https://docs.stripe.com/error-codes: the object's state forbids a capture, a void or a refund.
        "amount_too_large",
        "amount_too_small",
        "balance_insufficient",
        "charge_already_captured",
        "charge_already_refunded",
        "charge_disputed",
        "charge_exceeds_source_limit",
        "charge_exceeds_transaction_limit",
        "charge_expired_for_capture",
        "charge_not_refundable",
        "intent_invalid_state",
        "payment_intent_unexpected_state",
        "refund_disputed_payment",
    }
)


def instrument_refused(code: str, param: str) -> DeclineCode | None:
    """Returns the decline that a refused request amounts to, None where the request itself was wrong."""
    if code in _CODES:
        return _CODES[code]
    # A token that does not exist, or bank details that are missing: the customer's instrument, not our request.
    return DeclineCode.INSTRUMENT_INVALID if param.startswith("payment_method") else None


def decline(error: Mapping[str, Any]) -> Failure:
    """Turns `error` of an answer, or an intent's `last_payment_error`, into a failure."""
    code = str(error.get("decline_code") or error.get("code") or "")
    known = _CODES.get(code)
    if known is None:
        _log.warning("stripe declined with an unknown code: %s", code)
        known = DeclineCode.CARD_DECLINED
    return failure(known, code or None, _ADVICE.get(str(error.get("advice_code"))))
