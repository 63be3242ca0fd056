"""PayPal's webhooks verify as PayPal documents it, under the sandbox's own certificate authority."""

import base64
import zlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.verification import PolicyBuilder, Store

from sandbox.paypal.signing import HOST
from tests.sandbox.harness import TIMEOUT_S, Loop, Received, Running, running
from tests.sandbox.paypal_calls import captured, create, hold, post


def verify(sandbox: Running, received: Received, webhook_id: str = "WH-SANDBOX") -> None:
    """Verifies chain and signature with `cryptography` alone; raises where either fails."""
    headers = received.headers
    assert headers["paypal-auth-algo"] == "SHA256withRSA"
    chain = requests.get(headers["paypal-cert-url"], timeout=TIMEOUT_S).content
    leaf, *rest = x509.load_pem_x509_certificates(chain)
    anchor = x509.load_pem_x509_certificate(requests.get(f"{sandbox.url}/paypal/ca.pem", timeout=TIMEOUT_S).content)
    policy = PolicyBuilder().store(Store([anchor])).time(datetime.now(UTC))
    policy.build_server_verifier(x509.DNSName(HOST)).verify(leaf, rest)
    key = leaf.public_key()
    assert isinstance(key, rsa.RSAPublicKey)
    parts = (headers["paypal-transmission-id"], headers["paypal-transmission-time"], webhook_id)
    signed = "|".join((*parts, str(zlib.crc32(received.body))))
    signature = base64.b64decode(headers["paypal-transmission-sig"])
    key.verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())


def asked(sandbox: Running, received: Received, **changes: Any) -> str:
    """What PayPal itself says when it is asked to verify."""
    headers = received.headers
    body = {
        "auth_algo": headers["paypal-auth-algo"],
        "cert_url": headers["paypal-cert-url"],
        "transmission_id": headers["paypal-transmission-id"],
        "transmission_sig": headers["paypal-transmission-sig"],
        "transmission_time": headers["paypal-transmission-time"],
        "webhook_id": "WH-SANDBOX",
        "webhook_event": received.event,
    } | changes
    answer = sandbox.paypal().post("v1/notifications/verify-webhook-signature", body)
    return str(answer["verification_status"])


def test_a_webhook_verifies(sandbox: Running) -> None:
    capture = captured(sandbox)
    received = sandbox.inbox.wait_for("PAYMENT.CAPTURE.COMPLETED")[0]
    verify(sandbox, received)
    assert received.path == "/v1/webhooks/paypal"
    assert received.event["resource"]["id"] == capture["id"]
    assert received.event["resource"]["custom_id"] == "t-1"
    assert asked(sandbox, received) == "SUCCESS"


def test_a_webhook_for_another_id_or_with_another_body_does_not(sandbox: Running) -> None:
    captured(sandbox)
    received = sandbox.inbox.wait_for("CHECKOUT.ORDER.APPROVED")[0]
    with pytest.raises(InvalidSignature):
        verify(sandbox, received, "WH-OTHER")
    forged = Received(received.path, received.headers, received.body.replace(b"20.00", b"10.00"))
    with pytest.raises(InvalidSignature):
        verify(sandbox, forged)
    assert asked(sandbox, forged) == "FAILURE"
    assert asked(sandbox, received, webhook_id="WH-OTHER") == "FAILURE"


def test_the_time_of_transmission_is_now(sandbox: Running) -> None:
    captured(sandbox)
    headers = sandbox.inbox.wait_for("PAYMENT.CAPTURE.COMPLETED")[0].headers
    sent = datetime.fromisoformat(headers["paypal-transmission-time"])
    assert abs(datetime.now(UTC) - sent) < timedelta(seconds=60)


def test_each_step_is_told(sandbox: Running) -> None:
    held = hold(sandbox)
    post(sandbox, f"v2/payments/authorizations/{held['id']}/void")
    capture = captured(sandbox)
    post(sandbox, f"v2/payments/captures/{capture['id']}/refund")
    for event in ("AUTHORIZATION.CREATED", "AUTHORIZATION.VOIDED", "CAPTURE.COMPLETED", "CAPTURE.REFUNDED"):
        sandbox.inbox.wait_for(f"PAYMENT.{event}")


def test_a_resend_is_the_same_event_in_another_transmission(sandbox: Running) -> None:
    captured(sandbox)
    first = sandbox.inbox.wait_for("PAYMENT.CAPTURE.COMPLETED")[0]
    post(sandbox, f"v1/notifications/webhooks-events/{first.event['id']}/resend")
    again = sandbox.inbox.wait_for("PAYMENT.CAPTURE.COMPLETED", 2)[1]
    assert again.event == first.event
    assert again.headers["paypal-transmission-id"] != first.headers["paypal-transmission-id"]
    verify(sandbox, again)


def test_webhooks_are_managed(sandbox: Running) -> None:
    url = f"{sandbox.inbox.url}/second"
    body = {"url": url, "event_types": [{"name": "CHECKOUT.ORDER.APPROVED"}]}
    made = post(sandbox, "v1/notifications/webhooks", body)
    api = sandbox.paypal()
    assert api.get(f"v1/notifications/webhooks/{made['id']}")["url"] == url
    assert len(api.get("v1/notifications/webhooks")["webhooks"]) == 2
    captured(sandbox)
    received = [one for one in sandbox.inbox.wait_for("CHECKOUT.ORDER.APPROVED", 2) if one.path == "/second"]
    verify(sandbox, received[0], made["id"])
    api.delete(f"v1/notifications/webhooks/{made['id']}")
    assert len(api.get("v1/notifications/webhooks")["webhooks"]) == 1


def test_events_can_be_read_again(sandbox: Running) -> None:
    create(sandbox)
    captured(sandbox)
    events = sandbox.paypal().get("v1/notifications/webhooks-events")["events"]
    assert [event["event_type"] for event in events] == ["PAYMENT.CAPTURE.COMPLETED", "CHECKOUT.ORDER.APPROVED"]
    assert sandbox.paypal().get(f"v1/notifications/webhooks-events/{events[0]['id']}") == events[0]


def test_the_anchor_is_written_where_it_is_asked_for(loop: Loop, tmp_path: Path) -> None:
    path = tmp_path / "new" / "ca.pem"
    with running(loop, paypal_ca_file=path) as sandbox:
        served = requests.get(f"{sandbox.url}/paypal/ca.pem", timeout=TIMEOUT_S).content
    assert path.read_bytes() == served
    assert [one.name for one in path.parent.iterdir()] == ["ca.pem"]
