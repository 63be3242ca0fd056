"""Stripe's webhook signature, https://docs.stripe.com/webhooks#verify-manually; `sandbox.webhooks` sends it."""

import hashlib
import hmac
import time
from collections.abc import Mapping

from sandbox.accounts import Endpoint


def sign(endpoint: Endpoint, body: bytes) -> Mapping[str, str]:
    """The `Stripe-Signature` header over these very bytes, as of now."""
    timestamp = int(time.time())
    signed = b"%d.%s" % (timestamp, body)
    signature = hmac.new(endpoint.secret.encode(), signed, hashlib.sha256).hexdigest()
    return {"Stripe-Signature": f"t={timestamp},v1={signature}", "User-Agent": "Stripe/1.0 (sandbox)"}
