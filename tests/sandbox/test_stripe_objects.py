"""Stripe's objects carry the keys of Stripe's own fixtures, and no parameter is taken that Stripe does not know."""

import json
from typing import Any

import pytest

from sandbox.stripe import disputes, payment_intents, refunds
from tests.sandbox.harness import Running
from tests.sandbox.specs import fixture, stripe_requests
from tests.sandbox.stripe_calls import held, pay


def _plain(found: Any) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(str(found))
    return plain


def test_objects_have_every_key_of_the_fixtures(sandbox: Running) -> None:
    api = sandbox.stripe().v1
    intent = pay(sandbox, expand=["latest_charge.balance_transaction", "payment_method"])
    refund = api.refunds.create({"payment_intent": intent.id, "amount": 100})
    disputed = pay(sandbox)
    dispute = sandbox.post("/sandbox/stripe/disputes", {"payment_intent": disputed.id})
    found = {
        "payment_intent": _plain(intent),
        "charge": _plain(intent.latest_charge),
        "balance_transaction": _plain(intent.latest_charge.balance_transaction),
        "payment_method": _plain(intent.payment_method),
        "refund": _plain(refund),
        "dispute": dispute,
        "event": _plain(api.events.list({"limit": 1}).data[0]),
    }
    for resource, rendered in found.items():
        assert fixture(resource).keys() - rendered.keys() == set(), resource
    card = fixture("charge")["payment_method_details"]["card"]
    assert card.keys() - found["charge"]["payment_method_details"]["card"].keys() == set()


def test_every_state_of_an_intent_has_every_key(sandbox: Running) -> None:
    keys = fixture("payment_intent").keys()
    for intent in (held(sandbox), pay(sandbox, "4000000000003220")):
        assert keys - _plain(intent).keys() == set()
    for received in sandbox.inbox.wait_for("payment_intent.requires_action"):
        assert keys - received.event["data"]["object"].keys() == set()


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        ("/v1/payment_intents", payment_intents.CREATE),
        ("/v1/payment_intents/{intent}/confirm", payment_intents.CONFIRM),
        ("/v1/payment_intents/{intent}/capture", payment_intents.CAPTURE),
        ("/v1/refunds", refunds.FIELDS),
        ("/v1/disputes/{dispute}", disputes.FIELDS),
    ],
)
def test_no_parameter_is_of_our_own_invention(path: str, taken: frozenset[str]) -> None:
    newer = {"final_capture"}  # https://docs.stripe.com/api/payment_intents/capture, after 2023-08-16
    assert taken - stripe_requests()[path]["properties"].keys() - newer == set()
