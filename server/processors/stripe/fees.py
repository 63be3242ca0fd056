"""What Stripe keeps, as its balance transactions say. Pure; `intents`, `standing` and `books` use it.

https://docs.stripe.com/api/balance_transactions/object
"""

import logging
from collections.abc import Mapping
from typing import Any

from server.domain.fee import Fee
from server.processors.stripe.currencies import our_amount

_log = logging.getLogger(__name__)


def fee(movement: Mapping[str, Any]) -> Fee:
    """Reads the fee of a balance transaction, in the currency that the account is settled in; it may be 0.

    Raises:
        KeyError, TypeError, ValueError: It is no balance transaction that Stripe would describe.
    """
    currency = str(movement["currency"]).upper()
    return Fee(our_amount(currency, movement["fee"]), currency, str(movement["id"]))


def fee_of_charge(charge: Mapping[str, Any]) -> Fee | None:
    """Reads what Stripe kept of a charge whose balance transaction is expanded; None where it does not say so (yet).

    A charge is told without it while its money is on the way: https://docs.stripe.com/payments/payment-intents/asynchronous-capture.
    What cannot be understood is seen and counts as not told: the payment is as good as before.
    """
    movement = charge.get("balance_transaction")
    if not isinstance(movement, Mapping):
        return None
    try:
        return fee(movement)
    except (KeyError, TypeError, ValueError) as error:
        _log.error("the fee of stripe charge %s cannot be understood: %r", charge.get("id"), error)
        return None
