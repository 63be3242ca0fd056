"""Early fraud warnings of Stripe: told by an event, read again by their id."""

import json
import time
from typing import Any

import pytest
from stripe import WebhookSignature

from server.domain.outcome import Approved
from server.domain.payment import Method
from server.processors.contract import FraudWarning, OutcomeUnknown, Subject
from server.processors.guarded import Guarded
from server.processors.stripe import StripeEndpoint, StripeProcessor, events
from tests.processors.accounts import StripeAccount
from tests.processors.requests_to_processors import make_authorization, make_card
from tests.processors.sandbox_process import Json, Sandbox
from tests.sandbox.specs import fixture


async def test_a_warning_is_read_by_its_id(sandbox: Sandbox) -> None:
    stripe, account = Guarded(StripeProcessor(StripeEndpoint(sandbox.url))), StripeAccount(sandbox).account
    paid = await stripe.authorize(account, make_authorization(make_card(), Method.CREDIT_CARD))
    assert isinstance(paid, Approved)
    told = sandbox.command("/sandbox/stripe/early_fraud_warnings", payment_intent=paid.processor_payment_id)
    assert set(told) >= set(fixture("radar.early_fraud_warning"))
    warning = await stripe.read_warning(account, told["id"])
    with pytest.raises(OutcomeUnknown):
        await stripe.read_warning(account, "issfr_unknown")
    await stripe.close()
    objects = (paid.processor_transaction_id, paid.processor_payment_id)
    assert warning == FraudWarning(objects, "made_with_stolen_card")


def event_about(warning: Json) -> Any:
    body = {
        "id": "evt_1",
        "object": "event",
        "type": "radar.early_fraud_warning.created",
        "created": 1_760_000_000,
        "data": {"object": warning},
    }
    raw, now = json.dumps(body), int(time.time())
    signature = WebhookSignature._compute_signature(f"{now}.{raw}", "whsec_1")
    return events.parse("whsec_1", f"t={now},v1={signature}", raw.encode())


@pytest.mark.parametrize(
    ("changes", "payment"),
    [({}, "ch_1234"), ({"payment_intent": "pi_1"}, "pi_1"), ({"payment_intent": None}, "ch_1234")],
)
def test_an_event_names_the_intent_or_else_the_charge(changes: Json, payment: str) -> None:
    example = fixture("radar.early_fraud_warning")
    event = event_about(example | changes)
    assert (event.subject, event.processor_object_id) == (Subject.WARNING, example["id"])
    assert event.processor_payment_id == payment
