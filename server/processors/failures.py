"""One sentence and one advice for each decline code; adapters map their processor's codes and call `failure`."""

from collections.abc import Mapping

from server.domain.decline import Advice, DeclineCode, Failure

_WORDS: Mapping[DeclineCode, tuple[str, Advice]] = {
    DeclineCode.CARD_DECLINED: ("The issuer declined the payment.", Advice.TRY_ANOTHER_METHOD),
    DeclineCode.INSUFFICIENT_FUNDS: ("The account has too little money.", Advice.TRY_ANOTHER_METHOD),
    DeclineCode.EXPIRED_CARD: ("The card has expired.", Advice.TRY_ANOTHER_METHOD),
    DeclineCode.INCORRECT_CVC: ("The security code is wrong.", Advice.CONFIRM_CARD_DATA),
    DeclineCode.INCORRECT_NUMBER: ("The card's data are wrong.", Advice.CONFIRM_CARD_DATA),
    # A thief must not learn that the theft is known: https://docs.stripe.com/declines/codes
    DeclineCode.LOST_OR_STOLEN: ("The issuer declined the payment.", Advice.DO_NOT_RETRY),
    DeclineCode.PROCESSOR_FRAUD: ("The processor blocked the payment as too risky.", Advice.DO_NOT_RETRY),
    DeclineCode.LIMIT_EXCEEDED: ("The amount is outside a limit of the account.", Advice.TRY_ANOTHER_METHOD),
    DeclineCode.NOT_PERMITTED: ("The account may not be used for this payment.", Advice.TRY_ANOTHER_METHOD),
    DeclineCode.CURRENCY_NOT_ACCEPTED: ("The account does not take this currency.", Advice.TRY_ANOTHER_METHOD),
    DeclineCode.AUTHENTICATION_FAILED: (
        "The customer was not authenticated. Only with a return_url in the request can a card ask for 3-D Secure.",
        Advice.TRY_ANOTHER_METHOD,
    ),
    DeclineCode.INSTRUMENT_INVALID: ("The payment instrument cannot be used.", Advice.TRY_ANOTHER_METHOD),
    DeclineCode.PROCESSING_ERROR: ("The processor could not carry the payment out.", Advice.RETRY_LATER),
    DeclineCode.CUSTOMER_ABANDONED: ("The customer did not finish the payment.", Advice.TRY_ANOTHER_METHOD),
    DeclineCode.REFUND_FAILED: ("The money could not be returned to the customer.", Advice.DO_NOT_RETRY),
    DeclineCode.OPERATION_REFUSED: (
        "The processor refuses this in the payment's present state; read the payment.",
        Advice.DO_NOT_RETRY,
    ),
    DeclineCode.NOT_SUBMITTED: ("The request never reached the processor; nothing was charged.", Advice.RETRY_LATER),
}


def failure(code: DeclineCode, processor_code: str | None = None, advice: Advice | None = None) -> Failure:
    """Puts a decline into words.

    Args:
        code: One that an adapter may give; those of Kassa itself have their words elsewhere.
        processor_code: The processor's own code, verbatim.
        advice: The processor's own, where it gave one.
    """
    message, usual_advice = _WORDS[code]
    return Failure(code, message, advice or usual_advice, processor_code)
