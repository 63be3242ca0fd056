"""What PayPal keeps of a capture. Pure; `payments` and `books` use it.

https://developer.paypal.com/docs/api/payments/v2/#captures_get
"""

import logging
from collections.abc import Mapping
from typing import Any

from server.domain.fee import Fee
from server.processors.paypal.currencies import read_money

_log = logging.getLogger(__name__)


def fee_of_capture(capture: Mapping[str, Any]) -> Fee | None:
    """Reads what PayPal kept; None where it does not say so (yet), as while a capture is pending.

    What cannot be understood is seen and counts as not told: the payment is as good as before.
    """
    breakdown = capture.get("seller_receivable_breakdown") or {}
    # Where PayPal converts, it may take the fee in the currency that the account is settled in.
    money = breakdown.get("paypal_fee_in_receivable_currency") or breakdown.get("paypal_fee")
    if money is None:
        return None
    try:
        amount, currency = read_money(money)
        return Fee(amount, currency, str(capture["id"]))
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        _log.error("the fee of paypal capture %s cannot be understood: %r", capture.get("id"), error)
        return None
