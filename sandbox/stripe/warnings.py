"""Early fraud warnings: they arrive by test card or by command, before any dispute; nothing of money comes of them.

https://docs.stripe.com/api/radar/early_fraud_warnings
"""

from typing import Final

from sandbox.stripe import charging
from sandbox.stripe.context import Call, Context, Json, new_id, now
from sandbox.stripe.errors import missing, refused
from sandbox.stripe.records import Charge, FraudWarning

KINDS: Final = (
    "made_with_stolen_card",
    "made_with_lost_card",
    "unauthorized_use_of_card",
    "card_never_received",
    "misc",
)


def register(context: Context) -> None:
    """Tells the agenda how warnings arrive by themselves."""

    def do(account: str, intent_id: str) -> None:
        intent = context.books.intents.get(account, intent_id)
        charge = context.books.charges.get(account, intent.latest_charge or "") if intent else None
        if charge and charge.status == "succeeded" and not _known(context, charge):
            warn(context, charge, KINDS[0])

    context.agenda.on(charging.WARN_OF_FRAUD, do)


def warn(context: Context, charge: Charge, kind: str) -> FraudWarning:
    """The card network reports that the cardholder calls a charge a fraud.

    Raises:
        StripeError: 400, it was not approved, or is warned of already.
    """
    if charge.status != "succeeded" or _known(context, charge):
        raise refused(f"Charge {charge.id} cannot be warned of.", charge=charge.id)
    made = FraudWarning(charge.account, new_id("issfr"), now(), charge.id, charge.payment_intent, kind)
    context.books.warnings.put(made)
    context.publish(charge.account, "radar.early_fraud_warning.created", rendered(context, made))
    return made


def rendered(context: Context, record: FraudWarning) -> Json:
    """A warning is actionable until the charge is refunded or disputed."""
    charge = context.books.charges.get(record.account, record.charge)
    over = charge is None or charge.dispute is not None or charge.amount_refunded == charge.amount_captured > 0
    return {
        "id": record.id,
        "object": "radar.early_fraud_warning",
        "actionable": not over,
        "charge": record.charge,
        "created": record.created,
        "fraud_type": record.fraud_type,
        "livemode": False,
        "payment_intent": record.payment_intent,
    }


def retrieve(context: Context, call: Call) -> Json:
    """GET /v1/radar/early_fraud_warnings/{id}"""
    found = context.books.warnings.get(call.account.id, call.path["id"])
    if found is None:
        raise missing("early_fraud_warning", call.path["id"], "early_fraud_warning")
    return rendered(context, found)


def _known(context: Context, charge: Charge) -> bool:
    return any(one.charge == charge.id for one in context.books.warnings.of(charge.account))
