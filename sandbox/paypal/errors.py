"""PayPal's error bodies; every module of this package raises them, `routes` renders them.

https://developer.paypal.com/api/rest/responses/; issues and their texts are those of PayPal's OpenAPI files.
"""

import secrets
from typing import Any, Final

Json = dict[str, Any]

_NAMES: Final = {
    400: ("INVALID_REQUEST", "Request is not well-formed, syntactically incorrect, or violates schema."),
    401: (
        "AUTHENTICATION_FAILURE",
        "Authentication failed due to missing authorization header, or invalid authentication credentials.",
    ),
    403: ("NOT_AUTHORIZED", "Authorization failed due to insufficient permissions."),
    404: ("RESOURCE_NOT_FOUND", "The specified resource does not exist."),
    409: ("RESOURCE_CONFLICT", "The server has detected a conflict while processing this request."),
    415: ("UNSUPPORTED_MEDIA_TYPE", "The server does not support the request payload's media type."),
    422: (
        "UNPROCESSABLE_ENTITY",
        "The requested action could not be performed, semantically incorrect, or failed business validation.",
    ),
    429: ("RATE_LIMIT_REACHED", "Too many requests. Blocked due to rate limiting."),
    500: ("INTERNAL_SERVER_ERROR", "An internal server error occurred."),
    503: ("SERVICE_UNAVAILABLE", "Service Unavailable."),
}

_ZERO: Final = (
    "Must be greater than zero. If the currency supports decimals, only two decimal place precision is supported."
)
_PRECISION: Final = "If the currency supports decimals, only two decimal place precision is supported."
_CURRENCY: Final = (
    "Currency code is invalid or is not currently supported. Please refer https://developer.paypal.com/{}"
    "reference/currency-codes/ for list of supported currency codes."
)
ISSUES: Final[dict[str, tuple[int, str]]] = {
    "MALFORMED_REQUEST_JSON": (400, "The request JSON is not well formed."),
    "MISSING_REQUIRED_PARAMETER": (400, "A required field / parameter is missing."),
    "INVALID_PARAMETER_SYNTAX": (400, "The value of a field does not conform to the expected format."),
    "INVALID_PARAMETER_VALUE": (400, "The value of a field is invalid."),
    "INVALID_STRING_LENGTH": (400, "The value of a field is either too short or too long."),
    "PAYPAL_REQUEST_ID_REQUIRED": (
        400,
        "A PayPal-Request-Id is required if you are trying to process payment for an Order. Please specify a"
        " PayPal-Request-Id or Create the Order without a 'payment_source' specified.",
    ),
    "INVALID_RESOURCE_ID": (404, "Specified resource ID does not exist. Please check the resource ID and try again."),
    "PREVIOUS_REQUEST_IN_PROGRESS": (
        409,
        "A previous request on this resource is currently in progress. Please wait for sometime and try again. It is"
        " best to space out the initial and the subsequent request(s) to avoid receiving this error.",
    ),
    "CANNOT_BE_ZERO_OR_NEGATIVE": (422, _ZERO),
    "DECIMAL_PRECISION": (422, _PRECISION),
    "DECIMALS_NOT_SUPPORTED": (
        422,
        "Currency does not support decimals. Please refer to"
        " https://developer.paypal.com/docs/api/reference/currency-codes/ for more information.",
    ),
    "INVALID_CURRENCY_CODE": (422, _CURRENCY.format("docs/api/")),
    "NOT_ENABLED_FOR_CARD_PROCESSING": (
        422,
        "The API Caller account is not setup to be able to process card payments. Please contact PayPal customer"
        " support.",
    ),
    "ORDER_NOT_APPROVED": (
        422,
        "Payer has not yet approved the Order for payment. Please redirect the payer to the 'rel':'approve' url"
        " returned as part of the HATEOAS links within the Create Order call or provide a valid `payment_source` in the"
        " request.",
    ),
    "ORDER_ALREADY_CAPTURED": (
        422,
        "Order already captured.If 'intent=CAPTURE' only one capture per order is allowed.",
    ),
    "ORDER_ALREADY_AUTHORIZED": (
        422,
        "Order already authorized.If 'intent=AUTHORIZE' only one authorization per order is allowed.",
    ),
    "ACTION_DOES_NOT_MATCH_INTENT": (
        422,
        "Order was created with an intent to 'CAPTURE'. Please use v2/checkout/orders/order_id/capture to complete the"
        " transaction or alternately Create an order with an intent of 'AUTHORIZE'.",
    ),
    "INSTRUMENT_DECLINED": (
        422,
        "The instrument presented  was either declined by the processor or bank, or it can't be used for this payment.",
    ),
    "PAYER_CANNOT_PAY": (
        422,
        "Payer cannot pay for this transaction. Please contact the payer to find other ways to pay for this"
        " transaction.",
    ),
    "AUTHORIZATION_ALREADY_CAPTURED": (422, "Authorization has previously been captured."),
    "AUTHORIZATION_VOIDED": (422, "A voided authorization cannot be captured or reauthorized. "),
    "AUTH_CAPTURE_CURRENCY_MISMATCH": (422, "Currency of capture must be the same as currency of authorization."),
    "MAX_CAPTURE_AMOUNT_EXCEEDED": (
        422,
        "Capture amount exceeds allowable limit. Please contact customer service or your account manager to request the"
        " change to your overage limit. The default overage limit is 115%, which allows the sum of all captures to be"
        " up to 115% of the order amount. The ability to over capture is subjected to regulatory approvals.",
    ),
    "PREVIOUSLY_CAPTURED": (422, "Authorization has been previously captured and hence cannot be voided."),
    "PREVIOUSLY_VOIDED": (422, "Authorization has been previously voided and hence cannot be voided again."),
    "CAPTURE_FULLY_REFUNDED": (422, "The capture has already been fully refunded"),
    "PENDING_CAPTURE": (
        422,
        "Cannot initiate a refund as the capture is pending. Capture is typically pending when the payer has funded the"
        " transaction using e-check/bank funded.",
    ),
    "REFUND_AMOUNT_EXCEEDED": (
        422,
        "The refund amount must be less than or equal to the capture amount that has not yet been refunded.",
    ),
    "REFUND_CAPTURE_CURRENCY_MISMATCH": (422, "Refund must be in the same currency as the capture"),
    "REFUND_NOT_ALLOWED": (422, "Capture cannot be refunded."),
    "REFUND_NOT_PERMITTED_DUE_TO_CHARGEBACK": (
        422,
        "Refunds are not allowed on this capture due to a chargeback on the card or bank. Please contact the payee to"
        " resolve the chargeback.",
    ),
    "TRANSACTION_DISPUTED": (
        422,
        "Partial refunds cannot be offered at this time because there is an open case on this transaction. Visit the"
        " PayPal Resolution Center to review this case.",
    ),
    "DISPUTE_CANNOT_BE_OPENED": (422, "The capture has nothing left that could be disputed."),
    "INVALID_DISPUTE_STATUS": (422, "The dispute's status does not allow this."),
    "TRANSACTION_REFUSED": (422, "The request was refused."),
}
"""Issue to HTTP status and description."""

_REQUIRED_IN_ACTIONS: Final = "A required field / parameter is missing"
_WORDED_OTHERWISE: Final = {
    ("orders.create", "INVALID_CURRENCY_CODE"): _CURRENCY.format("api/rest/"),
    ("orders.create", "MISSING_REQUIRED_PARAMETER"): "A required parameter is missing.",
    ("orders.create", "INVALID_PARAMETER_VALUE"): "A parameter value is not valid.",
    ("orders.create", "INVALID_STRING_LENGTH"): "The value of a field is either too short or too long",
    ("orders.capture", "MISSING_REQUIRED_PARAMETER"): _REQUIRED_IN_ACTIONS,
    ("orders.authorize", "MISSING_REQUIRED_PARAMETER"): _REQUIRED_IN_ACTIONS,
    ("orders.authorize", "ORDER_NOT_APPROVED"): (
        "Payer has not yet approved the Order for payment. Please redirect the payer to the 'rel':'approve' url"
        " returned as part of the HATEOAS links within the Create Order call."
    ),
}


class PayPalError(Exception):
    """An answer that is not 2xx.

    Args:
        issue: What went wrong; empty for a status alone.
        field: JSON pointer to the field at fault.
    """

    def __init__(self, issue: str, *, status: int | None = None, field: str = "") -> None:
        super().__init__(issue)
        self.issue = issue
        self.status = status or ISSUES.get(issue, (422, ""))[0]
        self.field = field

    def body(self, operation: str = "") -> Json:
        """The body, in the words of that operation (`orders.create`)."""
        name, message = _NAMES.get(self.status, _NAMES[500])
        debug_id = secrets.token_hex(7)[:13]
        body: Json = {"name": name, "message": message, "debug_id": debug_id}
        if self.issue:
            text = _WORDED_OTHERWISE.get((operation, self.issue)) or ISSUES.get(self.issue, (0, self.issue))[1]
            detail: Json = {"issue": self.issue, "description": text}
            if self.field:
                detail |= {"field": self.field, "location": "body"}
            body["details"] = [detail]
        link = f"https://developer.paypal.com/docs/api/orders/v2/#error-{self.issue or name}"
        return body | {"links": [{"href": link, "rel": "information_link", "method": "GET"}]}
