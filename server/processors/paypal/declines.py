"""PayPal's issues in our vocabulary; `operations` looks them up.

https://developer.paypal.com/api/rest/reference/orders/v2/errors/ and …/payments/v2/errors/
"""

from collections.abc import Mapping

from server.domain.decline import DeclineCode

ORDER_DECLINES: Mapping[str, DeclineCode] = {
    "AGREEMENT_ALREADY_CANCELLED": DeclineCode.INSTRUMENT_INVALID,
    "CARD_EXPIRED": DeclineCode.EXPIRED_CARD,
    "COMPLIANCE_VIOLATION": DeclineCode.NOT_PERMITTED,
    "CURRENCY_NOT_SUPPORTED_FOR_COUNTRY": DeclineCode.CURRENCY_NOT_ACCEPTED,
    "DECLINED_DUE_TO_RELATED_TXN": DeclineCode.CARD_DECLINED,
    "DOMESTIC_TRANSACTION_REQUIRED": DeclineCode.NOT_PERMITTED,
    "INSTRUMENT_DECLINED": DeclineCode.CARD_DECLINED,
    "INVALID_CURRENCY_CODE": DeclineCode.CURRENCY_NOT_ACCEPTED,
    "MAX_NUMBER_OF_PAYMENT_ATTEMPTS_EXCEEDED": DeclineCode.LIMIT_EXCEEDED,
    "MAX_VALUE_EXCEEDED": DeclineCode.LIMIT_EXCEEDED,
    "PAYEE_BLOCKED_TRANSACTION": DeclineCode.PROCESSOR_FRAUD,
    "PAYER_ACCOUNT_LOCKED_OR_CLOSED": DeclineCode.NOT_PERMITTED,
    "PAYER_ACCOUNT_RESTRICTED": DeclineCode.NOT_PERMITTED,
    "PAYER_CANNOT_PAY": DeclineCode.NOT_PERMITTED,
    "PAYMENT_SOURCE_CANNOT_BE_USED": DeclineCode.INSTRUMENT_INVALID,
    "PAYMENT_SOURCE_DECLINED_BY_PROCESSOR": DeclineCode.CARD_DECLINED,
    "REDIRECT_PAYER_FOR_ALTERNATE_FUNDING": DeclineCode.CARD_DECLINED,
    "TRANSACTION_BLOCKED_BY_PAYEE": DeclineCode.PROCESSOR_FRAUD,
    "TRANSACTION_LIMIT_EXCEEDED": DeclineCode.LIMIT_EXCEEDED,
    "TRANSACTION_RECEIVING_LIMIT_EXCEEDED": DeclineCode.LIMIT_EXCEEDED,
    "TRANSACTION_REFUSED": DeclineCode.CARD_DECLINED,
}
"""Answers to creating, capturing or authorizing an order that say no to the customer."""

REFUSED_OPERATIONS: Mapping[str, DeclineCode] = dict.fromkeys(
    (
        "AUTHORIZATION_ALREADY_CAPTURED",
        "AUTHORIZATION_DENIED",
        "CANNOT_BE_VOIDED",
        "CAPTURE_FULLY_REFUNDED",
        "MAX_CAPTURE_AMOUNT_EXCEEDED",
        "MAX_CAPTURE_COUNT_EXCEEDED",
        "MAX_NUMBER_OF_REFUNDS_EXCEEDED",
        "PARTIAL_REFUND_NOT_ALLOWED",
        "PENDING_CAPTURE",
        "PREVIOUSLY_CAPTURED",
        "REFUND_AMOUNT_EXCEEDED",
        "REFUND_AMOUNT_TOO_LOW",
        "REFUND_IS_RESTRICTED",
        "REFUND_NOT_ALLOWED",
        "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK",
        "REFUND_TIME_LIMIT_EXCEEDED",
        "TRANSACTION_DISPUTED",
    ),
    DeclineCode.OPERATION_REFUSED,
) | {
    "PAYER_ACCOUNT_LOCKED_OR_CLOSED": DeclineCode.NOT_PERMITTED,
    "PAYER_CANNOT_PAY": DeclineCode.NOT_PERMITTED,
    "REFUND_FAILED_INSUFFICIENT_FUNDS": DeclineCode.REFUND_FAILED,
    "TRANSACTION_REFUSED": DeclineCode.CARD_DECLINED,
}
"""Answers to capturing an authorization, voiding or refunding that say no for good."""

RELEASED = frozenset({"AUTHORIZATION_EXPIRED", "AUTHORIZATION_VOIDED", "PREVIOUSLY_VOIDED"})
"""The hold is gone already."""

# https://developer.paypal.com/docs/api/payments/v2/#definition-processor_response
ISSUER_CODES: Mapping[str, DeclineCode] = {
    "0500": DeclineCode.CARD_DECLINED,
    "5100": DeclineCode.CARD_DECLINED,
    "5110": DeclineCode.INCORRECT_CVC,
    "5120": DeclineCode.INSUFFICIENT_FUNDS,
    "5180": DeclineCode.INCORRECT_NUMBER,
    "5400": DeclineCode.EXPIRED_CARD,
    "9500": DeclineCode.PROCESSOR_FRAUD,
    "9520": DeclineCode.LOST_OR_STOLEN,
}
