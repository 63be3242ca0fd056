"""Charges, as they may be read. https://docs.stripe.com/api/charges"""

from sandbox.stripe import charge_objects
from sandbox.stripe.context import Call, Context, Json
from sandbox.stripe.errors import missing


def retrieve(context: Context, call: Call) -> Json:
    """GET /v1/charges/{id}"""
    charge = context.books.charges.get(call.account.id, call.path["id"])
    if charge is None:
        raise missing("charge", call.path["id"], "id")
    return charge_objects.charge(context, charge)
